// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package console_test

import (
	"bytes"
	"cmp"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/chromedp/chromedp"
)

// TestPictures writes a screenshot of every page into HALLPASS_PICTURES, in three widths, light and
// dark, for a person to check; and those of docs/images into its folder docs.
func TestPictures(t *testing.T) {
	dir := os.Getenv("HALLPASS_PICTURES")
	if dir == "" {
		t.Skip("HALLPASS_PICTURES names no directory")
	}
	seed(t, "shop", "orders")
	b := newTab(t)
	b.visit(open(t, "", "--namespace shop"))
	const federated = "new-client-federated"
	for _, page := range append(pages("shop", "orders"), pageOf{federated, "#/new-client", "Manifest"}) {
		for _, width := range []int64{1440, 768, 390} {
			for _, scheme := range []string{"light", "dark"} {
				b.Size(width, 900, scheme)
				b.to(page.hash, page.until)
				if page.name == federated {
					b.fill("Name", "deploy")
					b.fill("A JWT of a trusted issuer", "")
					b.fill("Subject (sub)", "repo:acme/shop:environment:prod")
					b.see("federatedToken:")
					b.forget()
				}
				picture, err := chromedp.Run(b, chromedp.FullScreenshot(100))
				must(t, err)
				must(t, os.WriteFile(filepath.Join(dir, fmt.Sprintf("%s-%d-%s.png", page.name, width, scheme)), picture, 0o600))
			}
		}
	}
	must(t, os.MkdirAll(filepath.Join(dir, "docs"), 0o700))
	for _, page := range pages("shop", "orders")[:3] {
		b.Size(1160, 820, "light")
		b.to(page.hash, page.until)
		picture, err := chromedp.Run(b, chromedp.CaptureScreenshot())
		must(t, err)
		must(t, os.WriteFile(filepath.Join(dir, "docs", "console-"+page.name+".png"), small(t, picture), 0o600))
	}
	if b.Problems.String() != "" {
		t.Errorf("the browser reports:\n%s", b.Problems)
	}
}

// small is a screenshot with its 256 most frequent colours, which is a quarter as large.
func small(t *testing.T, picture []byte) []byte {
	t.Helper()
	read, err := png.Decode(bytes.NewReader(picture))
	must(t, err)
	bounds := read.Bounds()
	count := map[color.Color]int{}
	for y := range bounds.Dy() {
		for x := range bounds.Dx() {
			count[read.At(x, y)]++
		}
	}
	colours := slices.SortedFunc(maps.Keys(count), func(a, b color.Color) int { return cmp.Compare(count[b], count[a]) })
	palette := color.Palette(colours[:min(len(colours), 256)])
	reduced := image.NewPaletted(bounds, palette)
	index := map[color.Color]uint8{}
	for y := range bounds.Dy() {
		for x := range bounds.Dx() {
			c := read.At(x, y)
			i, known := index[c]
			if !known {
				i = uint8(palette.Index(c)) //nolint:gosec // of 256 colours
				index[c] = i
			}
			reduced.SetColorIndex(x, y, i)
		}
	}
	var out bytes.Buffer
	must(t, (&png.Encoder{CompressionLevel: png.BestCompression}).Encode(&out, reduced))
	return out.Bytes()
}
