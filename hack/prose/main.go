// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

// Command prose checks the wording of the documentation, of comments and of messages. In documents
// each sentence has a line, and few sentences are long. A line with a comment has at most 100
// columns, in every language. Documents, comments, and the texts in the Go code of the product have
// few words that the glossary of CONTRIBUTING.md replaces. With -write it breaks the lines; with
// -long it prints the long sentences, and with -words the replaced words. It is run in the root of
// the repository, by make verify.
package main

import (
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

const (
	// longSentence has more words than a reader keeps in mind.
	longSentence = 30
	// maxLongShare is how many of a hundred sentences may be long.
	maxLongShare = 5
	// maxReplaced is how many words of the glossary's left column may stand in comments, pages
	// and messages.
	maxReplaced = 60
)

// riddles are sentences that readers read twice.
var riddles = []string{ //nolint:gochecknoglobals // a constant list
	"One to come means now", "it counts as it stands", "holds secrets up until it could not have gone on", "use is heard of",
	"would vouch for whoever", "goes on at a revision which", "narrow each other", "repeated or not known there refuses", "it allows only where",
	"had its time",
}

func main() {
	write := flag.Bool("write", false, "break lines after sentences")
	long := flag.Bool("long", false, "print the long sentences")
	words := flag.Bool("words", false, "print the words that the glossary replaces")
	flag.Parse()
	problems, err := run(".", options{*write, *long, *words})
	if err != nil {
		fmt.Fprintln(os.Stderr, "prose:", err)
		os.Exit(1)
	}
	for _, problem := range problems {
		fmt.Println(problem)
	}
	if len(problems) > 0 {
		os.Exit(1)
	}
}

// options are the flags of the command.
type options struct{ write, long, words bool }

// run checks every page and every Go file below root, and returns what is wrong.
func run(root string, o options) ([]string, error) {
	documents, err := pages(root)
	if err != nil {
		return nil, err
	}
	sources, err := sourceFiles(root)
	if err != nil {
		return nil, err
	}
	var problems []string
	all := tally{options: o}
	for _, file := range documents {
		text, wrong, err := o.rewrite(file, breakLines, "more or less than one sentence a line")
		if err != nil {
			return nil, err
		}
		problems = append(problems, wrong...)
		for _, riddle := range riddles {
			if strings.Contains(strings.Join(strings.Fields(text), " "), riddle) {
				problems = append(problems, fmt.Sprintf("%s: %q takes two readings", file, riddle))
			}
		}
		all.count(file, text)
	}
	for _, file := range sources {
		c := commentsOf(file)
		text, wrong, err := o.rewrite(file, c.wrap, "a line with a comment has more than 100 columns")
		if err != nil {
			return nil, err
		}
		problems = append(problems, wrong...)
		if len(wrong) == 0 {
			for _, line := range c.long(text) {
				problems = append(problems, fmt.Sprintf("%s:%d: a line with a comment has more than %d columns; shorten it", file, line, maxColumns))
			}
		}
		if !strings.HasPrefix(filepath.ToSlash(file), "hack/prose/") { // which lists them
			all.countWords(file, c.texts(text)...)
		}
	}
	fmt.Printf("%d of %d sentences have more than %d words, and %d words are in the glossary's left column\n", all.long, all.sentences, longSentence, all.replaced)
	if 100*all.long > maxLongShare*all.sentences {
		problems = append(problems, fmt.Sprintf("more than %d of 100 sentences are long; go run ./hack/prose -long lists them", maxLongShare))
	}
	if all.replaced > maxReplaced {
		problems = append(problems, fmt.Sprintf("%d words that the glossary replaces, at most %d; go run ./hack/prose -words lists them", all.replaced, maxReplaced))
	}
	return problems, nil
}

// rewrite compares a file with what it should be. It returns a problem, or writes the file.
func (o options) rewrite(file string, right func(string) string, wrong string) (text string, problems []string, err error) {
	content, err := os.ReadFile(file)
	if err != nil {
		return "", nil, err
	}
	text = string(content)
	switch want := right(text); {
	case want == text:
	case !o.write:
		problems = []string{file + ": " + wrong + "; run go run ./hack/prose -write"}
	default:
		return want, nil, os.WriteFile(file, []byte(want), 0o644)
	}
	return text, problems, nil
}

// comments are the ways to read the comments of a file.
type comments struct {
	wrap  func(file string) string
	long  func(file string) []int
	texts func(file string) []string
}

func commentsOf(path string) comments {
	if filepath.Ext(path) == ".go" {
		return comments{wrapComments, longLines, func(file string) []string { return readTexts(path, file) }}
	}
	if templates.MatchString(filepath.ToSlash(path)) {
		return comments{func(file string) string { return file }, longTemplate, textsTemplate}
	}
	sign := signOf(path)
	return comments{
		wrap:  func(file string) string { return wrapOther(file, sign) },
		long:  func(file string) []int { return longOther(file, sign) },
		texts: func(file string) []string { return textsOther(file, sign) },
	}
}

// tally counts over all files.
type tally struct {
	options                   options
	sentences, long, replaced int
}

// count adds a page.
func (t *tally) count(page, text string) {
	// The glossary of CONTRIBUTING.md has the words in its left column.
	if filepath.Base(page) != "CONTRIBUTING.md" {
		t.countWords(page, strings.Split(text, "\n")...)
	}
	for _, sentence := range sentencesOf(text) {
		n := words(sentence)
		if n > 3 {
			t.sentences++
		}
		if n > longSentence {
			t.long++
			if t.options.long {
				fmt.Printf("%s: %s\n", page, sentence)
			}
		}
	}
}

// countWords adds the replaced words of texts.
func (t *tally) countWords(file string, texts ...string) {
	for _, text := range texts {
		found := replacedIn(text)
		t.replaced += len(found)
		if t.options.words && len(found) > 0 {
			fmt.Printf("%s: %s: %s\n", file, strings.Join(found, ", "), strings.Join(strings.Fields(text), " "))
		}
	}
}

// pages are the Markdown files of docs/ and of the root.
func pages(root string) ([]string, error) {
	found, err := filepath.Glob(filepath.Join(root, "*.md"))
	if err != nil {
		return nil, err
	}
	err = filepath.WalkDir(filepath.Join(root, "docs"), func(path string, _ fs.DirEntry, err error) error {
		// which is generated from field descriptions
		if err == nil && filepath.Ext(path) == ".md" && filepath.Base(path) != "api.md" && filepath.Base(path) != "cli.md" {
			found = append(found, path)
		}
		return err
	})
	return found, err
}

var (
	item = regexp.MustCompile(`^( *)(?:[-*]|\d+\.) `)
	// code, links and addresses count as a word each.
	code    = regexp.MustCompile("`[^`]*`")
	link    = regexp.MustCompile(`\]\([^)]*\)`)
	address = regexp.MustCompile(`https?://\S+`)
	word    = regexp.MustCompile(`[A-Za-z0-9][\w'’-]*`)
)

func words(sentence string) int {
	sentence = address.ReplaceAllString(link.ReplaceAllString(code.ReplaceAllString(sentence, "x"), "]"), "x")
	return len(word.FindAllString(sentence, -1))
}

// block is a paragraph or an item of a list, or lines that stay as they are.
type block struct {
	prefix, text string
	verbatim     bool
}

// blocksOf divides a page. Each line of what is verbatim is a block.
func blocksOf(page string) []block {
	var blocks []block
	fenced, comment, open := false, false, false
	for line := range strings.Lines(page) {
		line = strings.TrimRight(line, "\n")
		trimmed := strings.TrimSpace(line)
		fence := strings.HasPrefix(trimmed, "```")
		comment = comment || strings.HasPrefix(trimmed, "<!--")
		switch {
		case fenced || fence || comment || trimmed == "" || strings.HasPrefix(trimmed, "|") || strings.HasPrefix(trimmed, "#") || strings.HasPrefix(trimmed, ">") ||
			!open && strings.HasPrefix(line, "    ") && item.FindString(line) == "":
			blocks = append(blocks, block{text: line, verbatim: true})
			open = false
		case item.MatchString(line):
			prefix := item.FindString(line)
			blocks = append(blocks, block{prefix: prefix, text: line[len(prefix):]})
			open = true
		case open:
			blocks[len(blocks)-1].text += " " + trimmed
		default:
			blocks = append(blocks, block{prefix: line[:len(line)-len(strings.TrimLeft(line, " "))], text: trimmed})
			open = true
		}
		if fence {
			fenced = !fenced
		}
		comment = comment && !strings.Contains(line, "-->")
	}
	return blocks
}

// breakLines puts each sentence of paragraphs and lists on a line of its own.
func breakLines(page string) string {
	var out strings.Builder
	for _, b := range blocksOf(page) {
		if b.verbatim {
			out.WriteString(b.text + "\n")
			continue
		}
		prefix := b.prefix
		for _, sentence := range split(b.text) {
			out.WriteString(prefix + sentence + "\n")
			prefix = strings.Repeat(" ", len(b.prefix))
		}
	}
	return out.String()
}

// sentencesOf are the sentences of paragraphs, lists and cells of tables.
func sentencesOf(page string) []string {
	var all []string
	fenced := false
	for _, b := range blocksOf(page) {
		switch {
		case b.verbatim && strings.HasPrefix(strings.TrimSpace(b.text), "```"):
			fenced = !fenced
		case !b.verbatim:
			all = append(all, split(b.text)...)
		case !fenced && strings.HasPrefix(strings.TrimSpace(b.text), "|"):
			for cell := range strings.SplitSeq(strings.ReplaceAll(b.text, `\|`, "/"), "|") {
				all = append(all, split(strings.TrimSpace(cell))...)
			}
		}
	}
	return all
}

var starts = regexp.MustCompile("^[\"'(*_]*[A-Z0-9`/\\[]")

// split divides a text after each full stop, question mark and exclamation mark that is followed by
// the beginning of a sentence, outside of code and brackets.
func split(text string) []string {
	var sentences []string
	depth, quoted, from := 0, false, 0
	for i := range len(text) {
		switch c := text[i]; {
		case c == '`':
			quoted = !quoted
		case quoted:
		case c == '(' || c == '[':
			depth++
		case c == ')' || c == ']':
			depth = max(0, depth-1)
		case c == ' ' && depth == 0 && ends(text[from:i]) && starts.MatchString(text[i+1:]):
			sentences = append(sentences, text[from:i])
			from = i + 1
		}
	}
	return append(sentences, text[from:])
}

// ends reports whether a text ends as a sentence does.
func ends(text string) bool {
	text = strings.TrimRight(text, `*_")`)
	if !strings.HasSuffix(text, ".") && !strings.HasSuffix(text, "?") && !strings.HasSuffix(text, "!") {
		return false
	}
	for _, abbreviation := range []string{"e.g.", "i.e.", "etc.", " cf.", " vs.", " no."} {
		if strings.HasSuffix(text, abbreviation) {
			return false
		}
	}
	return true
}
