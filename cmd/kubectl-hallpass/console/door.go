// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package console

import (
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"html/template"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// linkLife is how long a link is good for.
const linkLife = 30 * time.Second

// door admits the browser that a link has brought. A link is a file that the caller alone can
// read: the arguments of a browser, which other users of the machine see, name the file and not the
// code in it. The code is good for one token, once, for a short time.
type door struct {
	now func() time.Time
	dir string

	mu sync.Mutex
	// links are by the digest of their code, and tokens are digests of tokens.
	links  map[digest]*link
	tokens map[digest]bool
}

type digest = [sha256.Size]byte

// link is an open link, or one that was used: used ones are kept to be recognised.
type link struct {
	file    string
	expires time.Time
	used    bool
}

var (
	errLinkUsed = errors.New("this link was used before. If that was not you, end the console with Ctrl-C in its terminal: " +
		"another program of this machine was first. Otherwise press Enter in the terminal to open a new link")
	errLinkExpired = errors.New("this link is too old: a link is good for 30 seconds. Press Enter in the terminal of the console to open a new one")
	errLinkUnknown = errors.New("this link is not of this console. Press Enter in the terminal of the console to open a new one")
)

func newDoor(now func() time.Time, dir string) *door {
	return &door{now: now, dir: dir, links: map[digest]*link{}, tokens: map[digest]bool{}}
}

// redirect is the content of a link: it brings the browser to the console with the code in the
// fragment, which no request and no Referer has.
//
//nolint:gochecknoglobals // a constant template
var redirect = template.Must(template.New("link").Parse(`<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="referrer" content="no-referrer">
<meta http-equiv="refresh" content="0;url={{.}}">
<title>Hallpass console</title>
<p>Opening the console of Hallpass…</p>
</html>
`))

// open writes a new link to the page at origin, and returns the name of its file.
func (d *door) open(origin string) (string, error) {
	code := rand.Text()
	var content strings.Builder
	if err := redirect.Execute(&content, origin+"/#code="+code); err != nil {
		return "", fmt.Errorf("write the link: %w", err)
	}
	file := filepath.Join(d.dir, rand.Text()+".html")
	if err := os.WriteFile(file, []byte(content.String()), 0o600); err != nil {
		return "", fmt.Errorf("write the link: %w. Check that the directory can be written, or set TMPDIR", err)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.links[sha256.Sum256([]byte(code))] = &link{file: file, expires: d.now().Add(linkLife)}
	return file, nil
}

// enter trades a code for a token.
func (d *door) enter(code string) (string, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	l := d.links[sha256.Sum256([]byte(code))]
	switch {
	case l == nil:
		return "", errLinkUnknown
	case l.used:
		return "", errLinkUsed
	case !d.now().Before(l.expires):
		d.remove(l)
		return "", errLinkExpired
	}
	l.used = true
	d.remove(l)
	token := rand.Text() + rand.Text()
	d.tokens[sha256.Sum256([]byte(token))] = true
	return token, nil
}

// admits reports whether a token is one that enter has returned.
func (d *door) admits(token string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.tokens[sha256.Sum256([]byte(token))]
}

// expire deletes the files of links that are too old.
func (d *door) expire() {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, l := range d.links {
		if !d.now().Before(l.expires) {
			d.remove(l)
		}
	}
}

func (d *door) remove(l *link) {
	if l.file != "" && os.Remove(l.file) == nil {
		l.file = ""
	}
}
