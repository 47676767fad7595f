// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"go/scanner"
	"go/token"
	"path/filepath"
	"regexp"
	"strings"
)

// replaced are the words and phrases of the left column of the glossary in CONTRIBUTING.md, and
// their other forms.
var replaced = regexp.MustCompile(`(?i)\b(` + strings.Join([]string{
	`says?|said|saying|tells?|told|telling|hears?|heard|hearing|unheard|vouch\w*`,
	`takes? notes?|taking note|(takes?|taking|taken|took) (\w+ )?back`,
	`whoever|whomever|somebody|someone|nobody|anybody|anyone|strangers?|askers?|of ours`,
	`ha[sd] its time|to come|(go|goes|going|went|gone) on|(holds?|held|holding) up|(makes?|made) way|as it stands|good no more`,
	`(go|goes|going|went|gone) back in time|set back|departed|reviv\w+|distrust\w*|calm`,
	`worlds?|wish(es|ed)?|pictures?|laid down|lays? down|narrow\w*|(becomes?|became) of`,
	`(a|the|one|each|every|another|first|second|no|this|next) looks?|(looks?|looked|looking) (at|into|again)`,
	`questions?|judg\w+|doors?|lets? (\w+ )?in`,
}, "|") + `)\b`)

// lookUp is a term that begins like a replaced word.
var lookUp = regexp.MustCompile(`(?i)\blook(s|ed|ing)?[- ](\w+ )?ups?\b`)

// replacedIn are the replaced words of a text. Names in code style are not replaced.
func replacedIn(text string) []string {
	text = strings.Join(strings.Fields(code.ReplaceAllString(text, "x")), " ")
	return replaced.FindAllString(lookUp.ReplaceAllString(text, "lookup"), -1)
}

// readTexts are what a Go file has for readers: the text of each comment, and string literals with
// several words, which are messages. Those of tests are not among them: only contributors read
// them, and they name what the product prints. The name that a comment begins with is left out.
func readTexts(path, file string) []string {
	slashed := filepath.ToSlash(path)
	isTest := strings.HasSuffix(slashed, "_test.go") || strings.HasPrefix(slashed, "test/")
	files := token.NewFileSet()
	source := files.AddFile("", -1, len(file))
	var s scanner.Scanner
	s.Init(source, []byte(file), nil, scanner.ScanComments)
	var texts []string
	var comment []string
	last := 0 // the line of the last comment
	for {
		pos, kind, literal := s.Scan()
		line := files.Position(pos).Line
		switch {
		case kind == token.COMMENT:
			if line != last+1 && comment != nil {
				texts, comment = append(texts, strings.Join(comment, "\n")), nil
			}
			comment = append(comment, strings.TrimPrefix(literal, "//"))
			last = line
			continue
		case kind == token.SEMICOLON && literal == "\n":
			continue
		case comment != nil:
			text := strings.Join(comment, "\n")
			if line == last+1 {
				text = withoutName(text, kind, literal, file[source.Offset(pos):])
			}
			texts, comment = append(texts, text), nil
		}
		if kind == token.EOF {
			return texts
		}
		if kind == token.STRING && !isTest && strings.Contains(literal, " ") {
			texts = append(texts, literal)
		}
	}
}

// declared is the name in the line behind a comment: of a declaration, a field or a method.
var declared = regexp.MustCompile(`^(?:(?:func|type|var|const|package) +)?(?:\([^)]*\) *)?(\w+)`)

// withoutName leaves out the name of a declaration at the beginning of its comment.
func withoutName(comment string, kind token.Token, literal, code string) string {
	if kind != token.IDENT && literal != kind.String() {
		return comment
	}
	name := declared.FindStringSubmatch(code)
	if name == nil {
		return comment
	}
	rest, ok := strings.CutPrefix(strings.TrimSpace(comment), name[1]+" ")
	if !ok {
		rest, ok = strings.CutPrefix(strings.TrimSpace(comment), "Package "+name[1]+" ")
	}
	if !ok {
		return comment
	}
	return rest
}
