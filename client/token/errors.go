// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package token

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// The errors that callers branch on with errors.Is.
var (
	// ErrInvalidClient: the token server does not accept the credential. Only the status of the
	// OAuth2Client and the audit line have the reason.
	ErrInvalidClient = errors.New("the token server does not accept the credential of the client")
	// ErrInvalidScope: the client has not been granted a scope of WithScopes.
	ErrInvalidScope = errors.New("a scope is not granted to the client")
	// ErrInvalidTarget: the client may not call the API of WithResource.
	ErrInvalidTarget = errors.New("the client may not have tokens for this resource")
	// ErrUnavailable: there was no answer, or one of 429 or 500 and above. Another attempt
	// makes sense, after Error.RetryAfter if there is one.
	ErrUnavailable = errors.New("the token server does not answer now")
	// ErrCredential: the files of the credential cannot be read, or lack something.
	ErrCredential = errors.New("the credential of the client cannot be read")
)

// Error is an answer of the token server that is no success (RFC 6749 section 5.2).
type Error struct {
	// Code and Description are error and error_description. Code is empty if the answer is
	// none of the token server's, such as a page of a proxy.
	Code, Description string
	// Status is the status of the answer.
	Status int
	// RetryAfter is how long the token server asks to wait; zero if it names no time.
	RetryAfter time.Duration
}

// Error implements error.
func (e *Error) Error() string {
	text := "the token server answered " + strconv.Itoa(e.Status)
	switch {
	case e.Code == "":
		text += " without an OAuth error: check the URL of the token endpoint, and the proxies before it"
	case e.Description == "":
		text += " " + e.Code
	default:
		text += " " + e.Code + ": " + e.Description
	}
	return text
}

// Is reports whether the answer is one of the errors of this package.
func (e *Error) Is(target error) bool {
	switch target {
	case ErrInvalidClient:
		return e.Code == "invalid_client"
	case ErrInvalidScope:
		return e.Code == "invalid_scope"
	case ErrInvalidTarget:
		return e.Code == "invalid_target"
	case ErrUnavailable:
		return e.Status == http.StatusTooManyRequests || e.Status >= http.StatusInternalServerError
	}
	return false
}

// unreachable is a request without an answer.
type unreachable struct{ cause error }

func (e *unreachable) Error() string      { return "reach the token server: " + e.cause.Error() }
func (e *unreachable) Unwrap() error      { return e.cause }
func (*unreachable) Is(target error) bool { return target == ErrUnavailable }

// maxText bounds what an answer contributes to an error.
const maxText = 1 << 10

// readError reads an answer that is no success.
func readError(status int, header http.Header, body []byte) *Error {
	var answer struct {
		Error       string `json:"error"`
		Description string `json:"error_description"`
	}
	if json.Unmarshal(body, &answer) != nil {
		answer.Error, answer.Description = "", ""
	}
	e := &Error{Code: printable(answer.Error), Description: printable(answer.Description), Status: status}
	if seconds, err := strconv.Atoi(header.Get("Retry-After")); err == nil && seconds > 0 && seconds <= 1<<20 {
		e.RetryAfter = time.Duration(seconds) * time.Second
	} else if at, err := http.ParseTime(header.Get("Retry-After")); err == nil {
		if date, err := http.ParseTime(header.Get("Date")); err == nil {
			e.RetryAfter = max(0, at.Sub(date)) // by one clock, the server's
		}
	}
	return e
}

// printable keeps an answer from forging lines of a log.
func printable(text string) string {
	if len(text) > maxText {
		text = text[:maxText]
	}
	return strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return -1
		}
		return r
	}, text)
}

func credentialError(format string, args ...any) error {
	return fmt.Errorf("%w: %w", ErrCredential, fmt.Errorf(format, args...))
}
