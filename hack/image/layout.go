// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// layout is a folder by the OCI Image Layout Specification: blobs by their digests, and an index.
type layout struct{ dir string }

// The media types of the OCI Image Format Specification.
const (
	typeIndex    = "application/vnd.oci.image.index.v1+json"
	typeManifest = "application/vnd.oci.image.manifest.v1+json"
	typeConfig   = "application/vnd.oci.image.config.v1+json"
	typeLayer    = "application/vnd.oci.image.layer.v1.tar+gzip"
)

// user is that of Kubernetes' distroless images: the user nonroot, as in the Deployments.
const user = 65532

type descriptor struct {
	MediaType   string            `json:"mediaType"`
	Digest      string            `json:"digest"`
	Size        int               `json:"size"`
	Platform    *platform         `json:"platform,omitempty"`
	Annotations map[string]string `json:"annotations,omitempty"`
}

type platform struct {
	Architecture string `json:"architecture"`
	OS           string `json:"os"`
}

type manifest struct {
	SchemaVersion int          `json:"schemaVersion"`
	MediaType     string       `json:"mediaType"`
	Config        descriptor   `json:"config"`
	Layers        []descriptor `json:"layers"`
}

type index struct {
	SchemaVersion int          `json:"schemaVersion"`
	MediaType     string       `json:"mediaType"`
	Manifests     []descriptor `json:"manifests"`
}

type imageConfig struct {
	Created time.Time `json:"created"`
	platform

	Config struct {
		User       string            `json:"User"`
		Entrypoint []string          `json:"Entrypoint"`
		WorkingDir string            `json:"WorkingDir"`
		Labels     map[string]string `json:"Labels"`
	} `json:"config"`
	RootFS struct {
		Type    string   `json:"type"`
		DiffIDs []string `json:"diff_ids"`
	} `json:"rootfs"`
	History []history `json:"history"`
}

type history struct {
	Created   time.Time `json:"created"`
	CreatedBy string    `json:"created_by"`
}

// newLayout begins an empty layout in a folder of its own.
func newLayout(dir string) (*layout, error) {
	if err := os.RemoveAll(dir); err != nil {
		return nil, fmt.Errorf("empty the layout: %w", err)
	}
	if err := os.MkdirAll(filepath.Join(dir, "blobs", "sha256"), 0o750); err != nil {
		return nil, fmt.Errorf("make the layout: %w", err)
	}
	return &layout{dir}, nil
}

// image puts in the image of a program for a platform.
func (l *layout) image(name string, binary []byte, system, architecture string, o order) (descriptor, error) {
	layer, err := layerOf(name, binary, o.made)
	if err != nil {
		return descriptor{}, err
	}
	packed, err := compress(layer)
	if err != nil {
		return descriptor{}, err
	}
	config := imageConfig{Created: o.made, platform: platform{Architecture: architecture, OS: system}}
	config.Config.User, config.Config.WorkingDir = fmt.Sprintf("%d:%d", user, user), "/"
	config.Config.Entrypoint = []string{"/" + name}
	config.Config.Labels = map[string]string{
		"org.opencontainers.image.title":    "hallpass-" + name,
		"org.opencontainers.image.source":   "https://github.com/hallpass-dev/hallpass",
		"org.opencontainers.image.licenses": "Apache-2.0",
		"org.opencontainers.image.version":  o.version,
	}
	config.RootFS.Type, config.RootFS.DiffIDs = "layers", []string{digestOf(layer)}
	config.History = []history{{Created: o.made, CreatedBy: "hack/image"}}

	m := manifest{SchemaVersion: 2, MediaType: typeManifest}
	if m.Config, err = l.object(typeConfig, config); err != nil {
		return descriptor{}, err
	}
	blob, err := l.blob(typeLayer, packed)
	if err != nil {
		return descriptor{}, err
	}
	m.Layers = []descriptor{blob}
	image, err := l.object(typeManifest, m)
	image.Platform = &config.platform
	return image, err
}

// finish writes the index of all platforms and the two files that make the folder a layout. The
// digest is that of the index, by which a registry names the image.
func (l *layout) finish(images []descriptor, version string) (digest string, err error) {
	all, err := l.object(typeIndex, index{SchemaVersion: 2, MediaType: typeIndex, Manifests: images})
	if err != nil {
		return "", err
	}
	all.Annotations = map[string]string{"org.opencontainers.image.ref.name": version}
	for name, content := range map[string]any{
		"index.json": index{SchemaVersion: 2, MediaType: typeIndex, Manifests: []descriptor{all}},
		"oci-layout": map[string]string{"imageLayoutVersion": "1.0.0"},
	} {
		encoded, err := json.Marshal(content)
		if err == nil {
			err = os.WriteFile(filepath.Join(l.dir, name), encoded, 0o600)
		}
		if err != nil {
			return "", fmt.Errorf("write %s: %w", name, err)
		}
	}
	return all.Digest, nil
}

func (l *layout) object(mediaType string, object any) (descriptor, error) {
	encoded, err := json.Marshal(object)
	if err != nil {
		return descriptor{}, fmt.Errorf("encode %s: %w", mediaType, err)
	}
	return l.blob(mediaType, encoded)
}

func (l *layout) blob(mediaType string, content []byte) (descriptor, error) {
	d := descriptor{MediaType: mediaType, Digest: digestOf(content), Size: len(content)}
	file := filepath.Join(l.dir, "blobs", "sha256", d.Digest[len("sha256:"):])
	if err := os.WriteFile(file, content, 0o600); err != nil {
		return descriptor{}, fmt.Errorf("write a blob: %w", err)
	}
	return d, nil
}

func digestOf(content []byte) string {
	sum := sha256.Sum256(content)
	return "sha256:" + hex.EncodeToString(sum[:])
}

// layerOf is the image's file system: the program and the names of its user. All times are the same
// one, and all belongs to root, so that the program cannot change itself.
func layerOf(name string, binary []byte, made time.Time) ([]byte, error) {
	var buffer bytes.Buffer
	archive := tar.NewWriter(&buffer)
	for _, file := range []struct {
		name    string
		mode    int64
		content []byte
	}{
		{"etc/", 0o755, nil},
		{"etc/group", 0o644, fmt.Appendf(nil, "root:x:0:\nnonroot:x:%d:\n", user)},
		{"etc/passwd", 0o644, fmt.Appendf(nil, "root:x:0:0:root:/:/sbin/nologin\nnonroot:x:%d:%d:nonroot:/:/sbin/nologin\n", user, user)},
		{name, 0o755, binary},
	} {
		header := &tar.Header{Name: file.name, Mode: file.mode, Size: int64(len(file.content)), ModTime: made, Format: tar.FormatPAX, Typeflag: tar.TypeReg}
		if file.content == nil {
			header.Typeflag = tar.TypeDir
		}
		err := archive.WriteHeader(header)
		if err == nil {
			_, err = archive.Write(file.content)
		}
		if err != nil {
			return nil, fmt.Errorf("pack %s: %w", file.name, err)
		}
	}
	if err := archive.Close(); err != nil {
		return nil, fmt.Errorf("pack the layer: %w", err)
	}
	return buffer.Bytes(), nil
}

// compress leaves out the name and the time that gzip has room for.
func compress(content []byte) ([]byte, error) {
	var buffer bytes.Buffer
	writer, err := gzip.NewWriterLevel(&buffer, gzip.BestCompression)
	if err == nil {
		_, err = writer.Write(content)
	}
	if err == nil {
		err = writer.Close()
	}
	if err != nil {
		return nil, fmt.Errorf("compress the layer: %w", err)
	}
	return buffer.Bytes(), nil
}
