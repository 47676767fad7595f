// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package token

import (
	"cmp"
	"errors"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"
)

// tokenPath is the path of the token endpoint below the issuer.
const tokenPath = "/oauth2/token"

// swaps is how often a directory is read again that is replaced while it is read.
const swaps = 5

// settingFiles are the entries that every directory may have.
var settingFiles = [...]string{"client_id", "token_url", "internal_token_url", "issuer_url", "ca.crt"}

// readDir reads the files of a mounted Secret or ConfigMap, all of one version: the kubelet writes
// a new version beside the old one and then swaps the link ..data.
func readDir(dir string, further ...string) (map[string]string, error) {
	for try := 1; ; try++ {
		link := filepath.Join(dir, "..data")
		version, err := os.Readlink(link)
		at := filepath.Join(dir, version)
		if errors.Is(err, fs.ErrNotExist) { // no kubelet mounted it
			if _, err = os.Stat(dir); err != nil {
				return nil, credentialError("%w", err)
			}
		}
		var file map[string]string
		if err == nil {
			file, err = readFiles(at, append(further, settingFiles[:]...))
		}
		if err != nil {
			return nil, credentialError("read %s: %w", dir, err)
		}
		// The kubelet deletes the files of a version after the link names the next one.
		if now, err := os.Readlink(link); now == version && (err == nil || version == "") {
			return file, nil
		}
		if try == swaps {
			return nil, credentialError("%s was replaced %d times while it was read", dir, swaps)
		}
	}
}

// readFiles reads those of the files that there are.
func readFiles(dir string, names []string) (map[string]string, error) {
	file := make(map[string]string, len(names))
	for _, name := range names {
		content, err := os.ReadFile(filepath.Join(dir, name))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err //nolint:wrapcheck // readDir adds the directory
		}
		file[name] = strings.TrimRight(string(content), "\r\n")
	}
	return file, nil
}

// readSettings reads the directory of a client without a secret; an empty name stands for none.
func readSettings(dir string) (reading, error) {
	if dir == "" {
		return reading{}, nil
	}
	file, err := readDir(dir)
	if err != nil {
		return reading{}, err
	}
	return reading{settings: settingsOf(file)}, nil
}

func settingsOf(file map[string]string) settings {
	s := settings{
		clientID: file["client_id"], issuer: file["issuer_url"],
		// Inside the cluster the internal address is the one that ca.crt is for.
		tokenURL: cmp.Or(file["internal_token_url"], file["token_url"]),
	}
	if ca := file["ca.crt"]; ca != "" {
		s.ca = []byte(ca)
	}
	return s
}

// complete adds what options set, and checks the address of the token endpoint.
func (o *options) complete(r reading) (reading, error) {
	if o.issuer != "" {
		r.issuer, r.tokenURL = o.issuer, o.issuer+tokenPath
	}
	if o.caFile != "" && o.client == nil {
		ca, err := os.ReadFile(o.caFile)
		if err != nil {
			return reading{}, credentialError("read the CA: %w", err)
		}
		r.ca = ca
	}
	if r.tokenURL == "" {
		return reading{}, credentialError("the URL of the token endpoint is missing: mount the directory of the OAuth2Client, or use WithConfig or WithIssuer")
	}
	parsed, err := url.Parse(r.tokenURL)
	switch {
	case err != nil || parsed.Host == "" || parsed.User != nil:
		return reading{}, credentialError("%q is not the URL of a token endpoint", r.tokenURL)
	case parsed.Scheme == "https", parsed.Scheme == "http" && o.plainHTTP:
	default:
		return reading{}, credentialError("%q is not https; WithPlainHTTP accepts http", r.tokenURL)
	}
	if r.issuer == "" {
		r.issuer = parsed.Scheme + "://" + parsed.Host
	}
	return r, nil
}
