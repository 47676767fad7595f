// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package loginport

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strconv"
	"time"
)

// Client calls the port.
type Client struct {
	// BaseURL is the origin of the port, without a slash at the end.
	BaseURL string
	// HTTP follows no redirect and has a time-out.
	HTTP *http.Client
	// Token returns the token of the ServiceAccount, which is read again for each call because
	// the kubelet replaces it.
	Token func() (string, error)
}

// UnavailableError means that the token server cannot decide now.
type UnavailableError struct {
	// RetryAfter is when another call makes sense; zero is unknown.
	RetryAfter time.Duration
	cause      error
}

// Error implements error.
func (e *UnavailableError) Error() string {
	return fmt.Sprintf("the token server is not available: %v", e.cause)
}

// Unwrap returns the cause.
func (e *UnavailableError) Unwrap() error { return e.cause }

// ErrUnauthorized means that the token server does not accept the ServiceAccount's token.
var ErrUnauthorized = errors.New("the token server does not accept the token of this ServiceAccount")

// errAnswer refuses an answer that breaks the contract.
var errAnswer = errors.New("the answer of the token server is not one of the login port")

// Begin asks for the decision about an authorization request.
func (c Client) Begin(ctx context.Context, request BeginRequest) (BeginAnswer, error) {
	return c.attempt(ctx, BeginPath, request, "begin")
}

// Resume returns the attempt of a ticket once more.
func (c Client) Resume(ctx context.Context, request ResumeRequest) (BeginAnswer, error) {
	return c.attempt(ctx, ResumePath, request, "resume")
}

// attempt makes a call whose answer is an attempt.
func (c Client) attempt(ctx context.Context, path string, request any, verb string) (BeginAnswer, error) {
	var answer BeginAnswer
	if err := c.call(ctx, path, request, &answer); err != nil {
		return BeginAnswer{}, fmt.Errorf("%s a login: %w", verb, err)
	}
	if members(answer.Refusal != nil, answer.Redirect != "", answer.Attempt != nil) != 1 {
		return BeginAnswer{}, fmt.Errorf("%s a login: %w", verb, errAnswer)
	}
	return answer, nil
}

// Finish ends an attempt.
func (c Client) Finish(ctx context.Context, request FinishRequest) (FinishAnswer, error) {
	var answer FinishAnswer
	if err := c.call(ctx, FinishPath, request, &answer); err != nil {
		return FinishAnswer{}, fmt.Errorf("finish a login: %w", err)
	}
	if members(answer.Refusal != nil, answer.Redirect != "") != 1 {
		return FinishAnswer{}, fmt.Errorf("finish a login: %w", errAnswer)
	}
	return answer, nil
}

// members counts those of an answer that are set.
func members(set ...bool) int {
	n := 0
	for _, is := range set {
		if is {
			n++
		}
	}
	return n
}

// call posts a message and decodes the answer. No error contains anything of either.
func (c Client) call(ctx context.Context, path string, message, answer any) error {
	body, err := json.Marshal(message)
	if err != nil {
		return errors.New("encode the message")
	}
	token, err := c.Token()
	if err != nil {
		return &UnavailableError{cause: fmt.Errorf("read the ServiceAccount's token: %w", err)}
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, c.BaseURL+path, bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("make the request: %w", err)
	}
	request.Header.Set("Authorization", "Bearer "+token)
	request.Header.Set("Content-Type", MediaType)
	request.Header.Set("Accept", MediaType)
	response, err := c.HTTP.Do(request)
	if err != nil {
		return &UnavailableError{cause: err}
	}
	defer func() { _ = response.Body.Close() }()
	switch {
	case response.StatusCode == http.StatusUnauthorized, response.StatusCode == http.StatusForbidden:
		return ErrUnauthorized
	case response.StatusCode == http.StatusTooManyRequests, response.StatusCode >= http.StatusInternalServerError:
		return &UnavailableError{RetryAfter: retryAfter(response.Header), cause: fmt.Errorf("status %d", response.StatusCode)}
	case response.StatusCode != http.StatusOK:
		return fmt.Errorf("%w: status %d", errAnswer, response.StatusCode)
	}
	return decode(response, answer)
}

// retryAfter reads the seconds of Retry-After (RFC 9110 section 10.2.3).
func retryAfter(header http.Header) time.Duration {
	seconds, err := strconv.ParseUint(header.Get("Retry-After"), 10, 16)
	if err != nil {
		return 0
	}
	return time.Duration(seconds) * time.Second
}

func decode(response *http.Response, answer any) error {
	if mediaType, _, err := mime.ParseMediaType(response.Header.Get("Content-Type")); err != nil || mediaType != MediaType {
		return errAnswer
	}
	content, err := io.ReadAll(io.LimitReader(response.Body, MaxAnswerBytes+1))
	if err != nil {
		return &UnavailableError{cause: err}
	}
	if len(content) > MaxAnswerBytes || json.Unmarshal(content, answer) != nil {
		return errAnswer
	}
	return nil
}
