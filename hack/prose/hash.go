// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// signs are what comments begin with in files that are not Go, by the end of their names.
var signs = map[string]string{ //nolint:gochecknoglobals // a constant table
	".sh": "#", ".yaml": "#", ".yml": "#", ".py": "#", ".conf": "#", ".cfg": "#", "Makefile": "#", "Dockerfile": "#", "Caddyfile": "#", "run": "#",
	".mjs": "//", ".js": "//", ".java": "//", ".cs": "//",
}

// signOf is what comments of a file begin with; empty if none are read in it.
func signOf(path string) string {
	if sign, ok := signs[filepath.Ext(path)]; ok {
		return sign
	}
	if sign, ok := signs[filepath.Base(path)]; ok && filepath.Ext(path) == "" {
		return sign
	}
	return ""
}

var (
	// generated are YAML files that make generate writes from comments in Go.
	generated = regexp.MustCompile(`(^|/)config/(crd/bases/|rbac/\w+_role\.yaml)`)
	// templates are those of Helm, of which some are generated from config/.
	templates = regexp.MustCompile(`(^|/)charts/[^/]+/templates/`)
	// templateComment is a comment of a template, and templateText a message in one.
	templateComment = regexp.MustCompile(`(?s)\{\{-? /\*.*?\*/ -?\}\}`)
	templateText    = regexp.MustCompile(`"[^"\n]+ [^"\n]+"`)
)

var (
	// example is commented-out configuration, or a marker, which keeps its line.
	example = regexp.MustCompile(`^(!|[ \t]|[-\w./"]+:( |$)|- |[-+=]{2,}$|@|$)`)
	behind  = map[string]*regexp.Regexp{ //nolint:gochecknoglobals // a constant table
		"#":  regexp.MustCompile(`^(\s*)(\S.*?)\s+# (.*)$`),
		"//": regexp.MustCompile(`^(\s*)(\S.*?)\s+// (.*)$`),
	}
)

// otherComments are the comments of a file that is not Go: those alone in their lines, by index,
// and those behind code. A sign in quotation marks begins none.
func otherComments(file, sign string) (alone, trailing map[int]string) {
	alone, trailing = map[int]string{}, map[int]string{}
	for i, line := range strings.Split(file, "\n") {
		if text, ok := strings.CutPrefix(strings.TrimSpace(line), sign); ok {
			if text == "" || text[0] == ' ' || text[0] == '!' {
				alone[i] = strings.TrimPrefix(text, " ")
			}
		} else if match := behind[sign].FindStringSubmatch(line); match != nil && strings.Count(match[2], `"`)%2 == 0 && strings.Count(match[2], "'")%2 == 0 {
			trailing[i] = match[3]
		}
	}
	return alone, trailing
}

// wrapOther fills the paragraphs of comments that have a line which is too long.
func wrapOther(file, sign string) string {
	lines := strings.Split(file, "\n")
	alone, _ := otherComments(file, sign)
	return strings.Join(wrapLines(lines, alone, sign, example), "\n")
}

// longOther are the lines whose comments are too long and cannot be wrapped by the command.
func longOther(file, sign string) []int {
	alone, behind := otherComments(file, sign)
	var long []int
	for i, line := range strings.Split(file, "\n") {
		_, isAlone := alone[i]
		_, isBehind := behind[i]
		if columns(line) > maxColumns && (isAlone && len(strings.Fields(line)) > 2 || isBehind) {
			long = append(long, i+1)
		}
	}
	return long
}

// textsOther are the paragraphs of the comments of a file.
func textsOther(file, sign string) []string {
	alone, behind := otherComments(file, sign)
	var texts []string
	for i := range strings.Count(file, "\n") + 1 {
		if text, ok := behind[i]; ok {
			texts = append(texts, text)
		}
		text, ok := alone[i]
		if _, follows := alone[i-1]; ok && follows {
			texts[len(texts)-1] += "\n" + text
		} else if ok {
			texts = append(texts, text)
		}
	}
	return texts
}

// longTemplate are the lines of a template whose comments are too long.
func longTemplate(file string) []int {
	long := map[int]bool{}
	for _, at := range templateComment.FindAllStringIndex(file, -1) {
		from := strings.LastIndex(file[:at[0]], "\n") + 1
		for i, line := range strings.Split(file[from:at[1]], "\n") {
			if columns(line) > maxColumns {
				long[strings.Count(file[:from], "\n")+i+1] = true
			}
		}
	}
	for _, line := range longOther(file, "#") {
		long[line] = true
	}
	return slices.Sorted(maps.Keys(long))
}

// textsTemplate are the comments and messages of a template. Those of a generated one are counted
// where it comes from.
func textsTemplate(file string) []string {
	if strings.HasPrefix(file, "{{- /* Generated from ") {
		return nil
	}
	return append(templateComment.FindAllString(file, -1), templateText.FindAllString(file, -1)...)
}
