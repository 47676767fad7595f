// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package main

// The bounds of the records' memory, which manager and token server have to share.
const (
	recordsArg = `        {{- with .Values.records.maxMemory }}
        - --max-records-memory={{ . }}
        {{- end }}
`
	namespaceRecordsArg = `        {{- with .Values.records.maxMemoryPerNamespace }}
        - --max-namespace-records-memory={{ . }}
        {{- end }}
`
)
