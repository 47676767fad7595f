// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package controlplane

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"time"
)

// auditPolicy keeps who did what to which object, and the bodies of writes, so that an unwanted
// write can be explained. What holds a credential is kept without its body: Secrets, and the tokens
// that are asked for or reviewed.
const auditPolicy = `apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
omitManagedFields: true
rules:
- level: None
  nonResourceURLs: ["/healthz*", "/livez*", "/readyz*", "/openapi*", "/api", "/api/*", "/apis", "/apis/*"]
- level: Metadata
  resources:
  - group: ""
    resources: [secrets, serviceaccounts/token]
  - group: authentication.k8s.io
- level: Request
  verbs: [create, update, patch, delete, deletecollection]
- level: Metadata
`

// AuditEvent is one request that the API server has answered.
type AuditEvent struct {
	Time time.Time `json:"requestReceivedTimestamp"`
	// Answered is when the API server had answered.
	Answered time.Time `json:"stageTimestamp"`
	Verb     string    `json:"verb"`
	URI      string    `json:"requestURI"`
	User     struct {
		Name string `json:"username"`
	} `json:"user"`
	UserAgent string `json:"userAgent"`
	// Object is what the request was about; empty for paths that are no resource.
	Object struct {
		Group       string `json:"apiGroup"`
		Resource    string `json:"resource"`
		Subresource string `json:"subresource"`
		Namespace   string `json:"namespace"`
		Name        string `json:"name"`
	} `json:"objectRef"`
	// Request is the body of a write, but of none that holds a credential.
	Request  json.RawMessage `json:"requestObject"`
	Response struct {
		// Code is the HTTP status.
		Code int `json:"code"`
	} `json:"responseStatus"`
}

// IsWrite is whether the request was to change what is stored, whatever its result. A review of a
// token or of a right is created too, and stores nothing.
func (e *AuditEvent) IsWrite() bool {
	if e.Object.Group == "authentication.k8s.io" || e.Object.Group == "authorization.k8s.io" || e.Object.Subresource == "token" {
		return false
	}
	return slices.Contains([]string{"create", "update", "patch", "delete", "deletecollection"}, e.Verb)
}

// AuditEvents reads the audit log. The API server writes an event just after its answer, so the
// newest may be missing; a watch is in it once it has begun and again when it has ended.
func (cp *ControlPlane) AuditEvents() ([]AuditEvent, error) {
	content, err := os.ReadFile(cp.AuditLog())
	if err != nil {
		return nil, fmt.Errorf("read the audit log: %w", err)
	}
	var events []AuditEvent
	for line := range bytes.Lines(content) {
		if !bytes.HasSuffix(line, []byte("\n")) {
			break // it is just being written
		}
		var event AuditEvent
		if err := json.Unmarshal(line, &event); err != nil {
			return nil, fmt.Errorf("read the audit log: %w", err)
		}
		events = append(events, event)
	}
	return events, nil
}
