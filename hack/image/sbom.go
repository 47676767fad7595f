// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"crypto/sha256"
	"debug/buildinfo"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"strings"
)

// document is a bill of materials by SPDX 2.3.
type document struct {
	Version           string         `json:"spdxVersion"`
	License           string         `json:"dataLicense"`
	ID                string         `json:"SPDXID"`
	Name              string         `json:"name"`
	Namespace         string         `json:"documentNamespace"`
	Creation          creation       `json:"creationInfo"`
	Packages          []component    `json:"packages"`
	Relationships     []relationship `json:"relationships"`
	DocumentDescribes []string       `json:"documentDescribes"`
}

type creation struct {
	Created  string   `json:"created"`
	Creators []string `json:"creators"`
}

type component struct {
	ID               string      `json:"SPDXID"`
	Name             string      `json:"name"`
	Version          string      `json:"versionInfo"`
	DownloadLocation string      `json:"downloadLocation"`
	FilesAnalyzed    bool        `json:"filesAnalyzed"`
	License          string      `json:"licenseConcluded"`
	LicenseDeclared  string      `json:"licenseDeclared"`
	Copyright        string      `json:"copyrightText"`
	Checksums        []checksum  `json:"checksums,omitempty"`
	References       []reference `json:"externalRefs,omitempty"`
}

type checksum struct {
	Algorithm string `json:"algorithm"`
	Value     string `json:"checksumValue"`
}

type reference struct {
	Category string `json:"referenceCategory"`
	Type     string `json:"referenceType"`
	Locator  string `json:"referenceLocator"`
}

type relationship struct {
	From string `json:"spdxElementId"`
	Type string `json:"relationshipType"`
	To   string `json:"relatedSpdxElement"`
}

const (
	documentID  = "SPDXRef-DOCUMENT"
	programID   = "SPDXRef-Program"
	noAssertion = "NOASSERTION"
)

// billOfMaterials lists what the compiler has written into the program: the modules that are in it,
// and the Go they were built with.
func billOfMaterials(file, name string, o order) ([]byte, error) {
	info, err := buildinfo.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("read what %s is built from: %w", name, err)
	}
	binary, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	sum := sha256.Sum256(binary)
	hash := hex.EncodeToString(sum[:])
	d := document{
		Version: "SPDX-2.3", License: "CC0-1.0", ID: documentID, Name: "hallpass-" + name,
		Namespace: "https://github.com/hallpass-dev/hallpass/spdx/" + name + "/" + url.PathEscape(o.version) + "/" + hash,
		Creation:  creation{Created: o.made.Format("2006-01-02T15:04:05Z"), Creators: []string{"Tool: hallpass-hack-image"}},
		Packages: []component{
			{
				ID: programID, Name: info.Path, Version: o.version, DownloadLocation: "git+https://github.com/hallpass-dev/hallpass",
				License: "Apache-2.0", LicenseDeclared: "Apache-2.0", Copyright: "The Hallpass Authors", Checksums: []checksum{{"SHA256", hash}},
			},
			moduleComponent("SPDXRef-Go", "stdlib", strings.TrimPrefix(info.GoVersion, "go")),
		},
		Relationships:     []relationship{{documentID, "DESCRIBES", programID}, {programID, "DEPENDS_ON", "SPDXRef-Go"}},
		DocumentDescribes: []string{programID},
	}
	for i, module := range info.Deps {
		if module.Replace != nil {
			module = module.Replace
		}
		id := fmt.Sprintf("SPDXRef-Module-%d", i+1)
		d.Packages = append(d.Packages, moduleComponent(id, module.Path, module.Version))
		d.Relationships = append(d.Relationships, relationship{programID, "DEPENDS_ON", id})
	}
	encoded, err := json.MarshalIndent(d, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("encode the SBOM of %s: %w", name, err)
	}
	return append(encoded, '\n'), nil
}

// moduleComponent is a Go module by its package URL.
func moduleComponent(id, path, version string) component {
	return component{
		ID: id, Name: path, Version: version, DownloadLocation: noAssertion,
		License: noAssertion, LicenseDeclared: noAssertion, Copyright: noAssertion,
		References: []reference{{"PACKAGE-MANAGER", "purl", "pkg:golang/" + path + "@" + url.PathEscape(version)}},
	}
}
