// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"go/scanner"
	"go/token"
	"io/fs"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"
)

const (
	// maxColumns is how long a line of a comment may be.
	maxColumns = 100
	// brokenColumns is the length below which the line of a comment in a script or manifest has
	// been broken on purpose.
	brokenColumns = 85
	// tabColumns is the width of a tab, as gofmt has it.
	tabColumns = 8
)

// sourceFiles are the files below root whose comments are checked: Go, those of signs, and the
// templates of the chart.
func sourceFiles(root string) ([]string, error) {
	var found []string
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := entry.Name()
		if entry.IsDir() {
			hidden := strings.HasPrefix(name, ".") && name != ".github" && name != ".ci"
			if path != root && (hidden || slices.Contains([]string{"bin", "testdata", "node_modules"}, name)) {
				return fs.SkipDir
			}
			return nil
		}
		goFile := filepath.Ext(name) == ".go" && !strings.HasPrefix(name, "zz_generated")
		slashed := filepath.ToSlash(path)
		if goFile || templates.MatchString(slashed) || signOf(name) != "" && !generated.MatchString(slashed) {
			found = append(found, path)
		}
		return nil
	})
	return found, err
}

var (
	// kept is the text of a line that keeps its breaks: a marker, code, a heading, the output
	// of an example, the header of a file, or nothing.
	kept     = regexp.MustCompile("^(\\+|[ \t]|#|`|Output:|Unordered output:|Copyright |SPDX-|$)")
	listItem = regexp.MustCompile(`^([-*]|\d+\.) `)
)

// wrapComments moves comments behind code that make a line too long to a line of their own, and
// fills the paragraphs of comments that have such a line.
func wrapComments(file string) string {
	lines := strings.Split(lift(file), "\n")
	alone, _ := commentLines(strings.Join(lines, "\n"))
	return strings.Join(wrapLines(lines, alone, "//", kept), "\n")
}

// wrapLines fills paragraphs of comments, which begin with sign. The texts that match kept stay.
func wrapLines(lines []string, comments map[int]string, sign string, kept *regexp.Regexp) []string {
	var out []string
	for i := 0; i < len(lines); {
		text, ok := comments[i]
		if !ok || kept.MatchString(text) {
			out = append(out, lines[i])
			i++
			continue
		}
		from := i
		words := strings.Fields(text)
		for i++; i < len(lines); i++ {
			next, ok := comments[i]
			if !ok || kept.MatchString(next) || listItem.MatchString(next) || sign == "#" && columns(lines[i-1]) < brokenColumns {
				break
			}
			words = append(words, strings.Fields(next)...)
		}
		if !tooLong(lines[from:i]) {
			out = append(out, lines[from:i]...)
			continue
		}
		indent, _, _ := strings.Cut(lines[from], sign)
		out = append(out, fill(indent+sign+" ", words)...)
	}
	return out
}

// lift gives a line of its own to each comment that makes a line of code too long: above the code,
// or below it where the code begins a block that the comment is about.
func lift(file string) string {
	_, behind := commentLines(file)
	lines := strings.Split(file, "\n")
	var out []string
	for i, line := range lines {
		at, ok := behind[i]
		if !ok || at.stays || columns(line) <= maxColumns {
			out = append(out, line)
			continue
		}
		statement, comment := strings.TrimRight(line[:at.column], " \t"), line[at.column:]
		trimmed := strings.TrimLeft(statement, "\t")
		indent := statement[:len(statement)-len(trimmed)]
		if begins.MatchString(trimmed) {
			out = append(out, statement, indent+"\t"+comment)
		} else {
			out = append(out, indent+comment, statement)
		}
	}
	return strings.Join(out, "\n")
}

// begins is code whose comment belongs into the block that it begins.
var begins = regexp.MustCompile(`^(\}.*\{|(case|default|func)\b.*[:{])$`)

// longLines are the lines whose comments are too long and cannot be wrapped by the command.
func longLines(file string) []int {
	alone, behind := commentLines(file)
	var long []int
	for i, line := range strings.Split(file, "\n") {
		text, isAlone := alone[i]
		_, isBehind := behind[i]
		if columns(line) <= maxColumns || strings.HasPrefix(text, "+") {
			continue // markers of generators are one line
		}
		if isAlone && len(strings.Fields(line)) > 2 || isBehind {
			long = append(long, i+1)
		}
	}
	return long
}

// trailing is a comment behind code.
type trailing struct {
	column int  // in bytes
	stays  bool // because the code in front ends a text that began on another line
}

// commentLines are the texts of the lines that have a comment alone, and the comments behind code,
// by index. Directives, such as those of the compiler and of linters, are not among them.
func commentLines(file string) (alone map[int]string, behind map[int]trailing) {
	files := token.NewFileSet()
	source := files.AddFile("", -1, len(file))
	var s scanner.Scanner
	s.Init(source, []byte(file), nil, scanner.ScanComments)
	alone, behind = map[int]string{}, map[int]trailing{}
	// the line of the last token that is no comment, and of the end of the last text of several
	// lines
	code, inText := 0, -1
	for {
		pos, kind, literal := s.Scan()
		if kind == token.EOF {
			return alone, behind
		}
		position := files.Position(pos)
		line := position.Line
		if kind == token.SEMICOLON && literal == "\n" {
			continue // the scanner adds it at the end of a line
		}
		if kind != token.COMMENT {
			code = line + strings.Count(literal, "\n")
			if code > line {
				inText = code
			}
			continue
		}
		text, isLine := strings.CutPrefix(literal, "//")
		switch {
		case !isLine && line == code:
			behind[line-1] = trailing{stays: true}
		case !isLine:
			for i, text := range strings.Split(literal, "\n") {
				alone[line-1+i] = "\t" + text // which keeps its breaks
			}
		case text != "" && text[0] != ' ' && text[0] != '\t':
		case line == code:
			behind[line-1] = trailing{column: position.Column - 1, stays: line == inText}
		default:
			alone[line-1] = strings.TrimPrefix(text, " ")
		}
	}
}

// tooLong reports whether a line is too long for another reason than one long word.
func tooLong(lines []string) bool {
	for _, line := range lines {
		if columns(line) > maxColumns && len(strings.Fields(line)) > 2 {
			return true
		}
	}
	return false
}

func columns(line string) int {
	return utf8.RuneCountInString(line) + (tabColumns-1)*strings.Count(line, "\t")
}

// fill breaks words into lines with a prefix.
func fill(prefix string, words []string) []string {
	lines := []string{prefix + words[0]}
	for _, word := range words[1:] {
		last := &lines[len(lines)-1]
		if columns(*last+" "+word) > maxColumns {
			lines = append(lines, prefix+word)
			continue
		}
		*last += " " + word
	}
	return lines
}
