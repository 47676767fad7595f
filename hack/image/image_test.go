// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// module writes a module with a program that imports nothing, and one with modules of others.
// make verify-image does with what is shipped what is done here with these, which compile quickly.
func module(t *testing.T, dir string) string {
	t.Helper()
	sums, err := os.ReadFile("../../go.sum")
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string]string{
		"go.mod":          "module example.com/small\n\ngo 1.26.0\n\nrequire (\n\tgithub.com/go-logr/logr v1.4.4\n\tgithub.com/google/go-cmp v0.7.0\n)\n",
		"go.sum":          string(sums),
		"bare/main.go":    "package main\n\nvar version string\n\nfunc main() { println(version) }\n",
		"modules/main.go": "package main\n\nimport (\n\t_ \"github.com/go-logr/logr\"\n\t_ \"github.com/google/go-cmp/cmp\"\n)\n\nfunc main() {}\n",
	} {
		file := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o750); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func buildIn(t *testing.T, source, program string, platforms ...string) (out string) {
	t.Helper()
	out = t.TempDir()
	err := build(t.Context(), order{
		source: source, out: out, programs: []string{program}, platforms: platforms, version: "v1.2.3", made: time.Unix(1_700_000_000, 0).UTC(),
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// TestTwoBuildsInDifferentPlacesAreTheSameBytes builds in two folders, in two time zones.
func TestTwoBuildsInDifferentPlacesAreTheSameBytes(t *testing.T) {
	first := contents(t, buildIn(t, module(t, t.TempDir()), "./bare", "linux/amd64"))
	t.Setenv("TZ", "Pacific/Kiritimati")
	second := contents(t, buildIn(t, module(t, filepath.Join(t.TempDir(), "a", "much", "longer", "path")), "./bare", "linux/amd64"))
	if len(first) != 7 {
		t.Errorf("%d files, want layer, config, manifest, index, index.json, oci-layout and the SBOM", len(first))
	}
	for name, content := range first {
		if !bytes.Equal(content, second[name]) {
			t.Errorf("%s differs, or is not there", name)
		}
	}
}

// contents are all files below a folder.
func contents(t *testing.T, dir string) map[string][]byte {
	t.Helper()
	files := map[string][]byte{}
	err := filepath.WalkDir(dir, func(path string, entry os.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		name, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		files[name], err = os.ReadFile(path)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// TestTheLayoutIsWhole follows every digest from the index down, as a registry does.
func TestTheLayoutIsWhole(t *testing.T) {
	dir := filepath.Join(buildIn(t, module(t, t.TempDir()), "./bare", "linux/amd64", "linux/arm64"), "bare")
	var top, platforms index
	content, err := os.ReadFile(filepath.Join(dir, "index.json"))
	if err != nil {
		t.Fatal(err)
	}
	decode(t, content, &top)
	decode(t, blob(t, dir, top.Manifests[0]), &platforms)
	var architectures []string
	for _, image := range platforms.Manifests {
		architectures = append(architectures, image.Platform.OS+"/"+image.Platform.Architecture)
		var m manifest
		decode(t, blob(t, dir, image), &m)
		var config imageConfig
		decode(t, blob(t, dir, m.Config), &config)
		if config.Config.User != "65532:65532" || config.Architecture != image.Platform.Architecture || config.Config.Entrypoint[0] != "/bare" {
			t.Errorf("the configuration is %+v", config)
		}
		layer := unzip(t, blob(t, dir, m.Layers[0]))
		if config.RootFS.DiffIDs[0] != digestOf(layer) {
			t.Error("the configuration names another layer")
		}
		if diff := cmp.Diff([]string{"etc/", "etc/group", "etc/passwd", "bare"}, names(t, layer)); diff != "" {
			t.Errorf("in the layer (-want +got):\n%s", diff)
		}
	}
	if !slices.Equal(architectures, []string{"linux/amd64", "linux/arm64"}) {
		t.Errorf("images for %v", architectures)
	}
}

func decode(t *testing.T, content []byte, into any) {
	t.Helper()
	if err := json.Unmarshal(content, into); err != nil {
		t.Fatal(err)
	}
}

func blob(t *testing.T, dir string, d descriptor) []byte {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(dir, "blobs", "sha256", strings.TrimPrefix(d.Digest, "sha256:")))
	if err != nil {
		t.Fatal(err)
	}
	if digestOf(content) != d.Digest || len(content) != d.Size {
		t.Errorf("a blob is not what %+v says", d)
	}
	return content
}

func unzip(t *testing.T, packed []byte) []byte {
	t.Helper()
	reader, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		t.Fatal(err)
	}
	content, err := io.ReadAll(reader)
	if err != nil {
		t.Fatal(err)
	}
	return content
}

func names(t *testing.T, layer []byte) []string {
	t.Helper()
	var all []string
	archive := tar.NewReader(bytes.NewReader(layer))
	for {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		if header.Uid != 0 || header.Mode&0o022 != 0 || !header.ModTime.Equal(time.Unix(1_700_000_000, 0)) {
			t.Errorf("%s: %+v", header.Name, header)
		}
		all = append(all, header.Name)
	}
}

// TestTheBillOfMaterialsAgreesWithTheCompiler compares it with what `go version -m` prints.
func TestTheBillOfMaterialsAgreesWithTheCompiler(t *testing.T) {
	source := module(t, t.TempDir())
	program := filepath.Join(t.TempDir(), "modules")
	compile := exec.CommandContext(t.Context(), "go", "build", "-o", program, "./modules")
	compile.Dir = source
	if output, err := compile.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, output)
	}
	encoded, err := billOfMaterials(program, "modules", order{version: "v1.2.3", made: time.Unix(0, 0)})
	if err != nil {
		t.Fatal(err)
	}
	var d document
	decode(t, encoded, &d)
	var listed []string
	for _, p := range d.Packages[2:] {
		listed = append(listed, p.Name+" "+p.Version)
	}
	printed, err := exec.CommandContext(t.Context(), "go", "version", "-m", program).Output()
	if err != nil {
		t.Fatal(err)
	}
	var compiled []string
	for line := range strings.Lines(string(printed)) {
		if fields := strings.Fields(line); len(fields) > 2 && fields[0] == "dep" {
			compiled = append(compiled, fields[1]+" "+fields[2])
		}
	}
	if len(compiled) != 2 {
		t.Fatalf("go version -m names %v, want two modules", compiled)
	}
	if diff := cmp.Diff(compiled, listed); diff != "" {
		t.Errorf("modules (-compiled +listed):\n%s", diff)
	}
	if want := "go" + d.Packages[1].Version; !strings.Contains(string(printed), want) {
		t.Errorf("the Go in it is %s", d.Packages[1].Version)
	}
}
