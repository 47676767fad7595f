// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

// Command prose checks the wording of the documentation: one sentence a line, few long sentences,
// and few words that the glossary of CONTRIBUTING.md replaces. With -write it breaks lines after
// sentences; with -long it prints the long sentences. It is run in the root of the repository, by
// make verify.
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
	// maxReplaced is how many words of the glossary's left column may stand in all pages but the
	// decisions, which are not rewritten.
	maxReplaced = 40
)

// replaced are words that the glossary replaces.
var replaced = regexp.MustCompile(`(?i)\b(whoever|whomever|somebody|strangers?|takes? back|taking back|taken back|took back|(is|are|was|were) told|tells? of|` +
	`heard of|vouch(es)?|had its time|has its time|laid down|gone back in time|set back|unheard|makes? way|one to come|of ours|lets? (nobody|in))\b`)

// riddles are sentences that readers read twice.
var riddles = []string{ //nolint:gochecknoglobals // a constant list
	"One to come means now", "it counts as it stands", "holds secrets up until it could not have gone on", "use is heard of",
	"would vouch for whoever", "goes on at a revision which", "narrow each other", "repeated or not known there refuses", "it allows only where",
	"had its time",
}

func main() {
	write := flag.Bool("write", false, "break lines after sentences")
	long := flag.Bool("long", false, "print the long sentences")
	flag.Parse()
	problems, err := run(".", *write, *long)
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

// run checks every page below root, and returns what is wrong.
func run(root string, write, long bool) ([]string, error) {
	pages, err := pages(root)
	if err != nil {
		return nil, err
	}
	var problems []string
	var all tally
	for _, page := range pages {
		content, err := os.ReadFile(page)
		if err != nil {
			return nil, err
		}
		text := string(content)
		broken := breakLines(text)
		if broken != text && write {
			if err := os.WriteFile(page, []byte(broken), 0o644); err != nil {
				return nil, err
			}
		} else if broken != text {
			problems = append(problems, page+": more or less than one sentence a line; run go run ./hack/prose -write")
		}
		for _, riddle := range riddles {
			if strings.Contains(strings.Join(strings.Fields(text), " "), riddle) {
				problems = append(problems, fmt.Sprintf("%s: %q takes two readings", page, riddle))
			}
		}
		for _, sentence := range all.count(page, text) {
			if long {
				fmt.Printf("%s: %s\n", page, sentence)
			}
		}
	}
	fmt.Printf("%d of %d sentences have more than %d words, and %d words are in the glossary's left column\n", all.long, all.sentences, longSentence, all.replaced)
	if 100*all.long > maxLongShare*all.sentences {
		problems = append(problems, fmt.Sprintf("more than %d of 100 sentences are long; go run ./hack/prose -long lists them", maxLongShare))
	}
	if all.replaced > maxReplaced {
		problems = append(problems, fmt.Sprintf("%d words that the glossary replaces, at most %d", all.replaced, maxReplaced))
	}
	return problems, nil
}

// tally counts over all pages.
type tally struct{ sentences, long, replaced int }

// count adds a page, and returns its long sentences.
func (t *tally) count(page, text string) []string {
	if !strings.Contains(page, "docs/decisions/") {
		t.replaced += len(replaced.FindAllString(strings.Join(strings.Fields(text), " "), -1))
	}
	var long []string
	for _, sentence := range sentencesOf(text) {
		n := words(sentence)
		if n > 3 {
			t.sentences++
		}
		if n > longSentence {
			long = append(long, sentence)
		}
	}
	t.long += len(long)
	return long
}

// pages are the Markdown files of docs/ and of the root.
func pages(root string) ([]string, error) {
	found, err := filepath.Glob(filepath.Join(root, "*.md"))
	if err != nil {
		return nil, err
	}
	err = filepath.WalkDir(filepath.Join(root, "docs"), func(path string, _ fs.DirEntry, err error) error {
		if err == nil && filepath.Ext(path) == ".md" && filepath.Base(path) != "api.md" { // which is generated from field descriptions
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
