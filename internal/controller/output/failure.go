// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package output

import (
	"context"
	"encoding/base64"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
)

const (
	// maxWords bounds what a condition quotes of the API server, and of the webhooks that it
	// asks.
	maxWords = 512
	// quotable is the length from which a value is taken for one that must not be quoted.
	quotable = 16
)

// Failure is the condition about an attempt that failed; nil if it is not about the object: a lost
// race is repeated at once, and an API server that does not answer refuses nothing. A refusal is
// reported in the API server's words. Another failure is reported for an object that was never
// ready.
func Failure(failure error, conditions []metav1.Condition, attempt string) *metav1.Condition {
	ofUser, isOfUser := errors.AsType[*Error](failure)
	if isOfUser {
		attempt = ofUser.attempt()
	}
	switch {
	case unanswered(failure):
	case errors.Is(failure, ErrAltered), refused(failure):
		words := cut(wordsOf(failure)) + remedy(failure)
		if isOfUser {
			words = ofUser.words
		}
		return new(v1alpha1.WriteRefused(attempt, words))
	case !meta.IsStatusConditionTrue(conditions, v1alpha1.ConditionReady):
		if isOfUser {
			attempt = ofUser.Error()
		}
		return new(v1alpha1.Progressing(attempt))
	}
	return nil
}

// unanswered reports whether the API server has not decided about a request: it did not answer, is
// overloaded or broken, or another write came first.
func unanswered(failure error) bool {
	if status, ok := errors.AsType[*apierrors.StatusError](failure); ok {
		switch code := status.Status().Code; {
		case byWebhook(status):
			return false
		case code == http.StatusConflict, code == http.StatusTooManyRequests, code == http.StatusGone:
			return true
		case code == http.StatusNotFound:
			return true // an update of what was deleted meanwhile
		case apierrors.HasStatusCause(failure, corev1.NamespaceTerminatingCause):
			return true // the object goes with its namespace
		default:
			return code >= http.StatusInternalServerError
		}
	}
	_, network := errors.AsType[net.Error](failure)
	return network || errors.Is(failure, context.Canceled) || errors.Is(failure, context.DeadlineExceeded) ||
		errors.Is(failure, io.EOF) || errors.Is(failure, io.ErrUnexpectedEOF)
}

// MayBeDone reports whether a write that failed may be done: the API server did not answer, or did
// not see it through.
func MayBeDone(failure error) bool {
	if status, ok := errors.AsType[*apierrors.StatusError](failure); ok {
		return !byWebhook(status) && status.Status().Code >= http.StatusInternalServerError
	}
	return unanswered(failure)
}

// refused reports whether the API server, or an admission webhook that it must ask, refuses a
// request.
func refused(failure error) bool {
	status, ok := errors.AsType[*apierrors.StatusError](failure)
	return ok && status.Status().Code >= http.StatusBadRequest
}

// byWebhook reports whether an admission webhook refuses a request, or could not be asked that must
// be. The API server calls the latter an internal error, and a webhook may give its refusal any
// status, such as 409 or 500.
func byWebhook(status *apierrors.StatusError) bool {
	words := status.Status().Message
	return strings.Contains(words, "failed calling webhook") || strings.HasPrefix(words, "admission webhook ") && strings.Contains(words, " denied the request")
}

// wordsOf is the message of the API server, without the wrapping around it.
func wordsOf(failure error) string {
	words := failure.Error()
	if status, ok := errors.AsType[*apierrors.StatusError](failure); ok && status.Status().Message != "" {
		words = status.Status().Message
	} else if errors.Is(failure, ErrAltered) {
		words = ErrAltered.Error()
	}
	return words
}

// cut shortens words for a sentence.
func cut(words string) string {
	if words = strings.TrimRight(strings.TrimSpace(words), "."); len(words) > maxWords {
		words = strings.ToValidUTF8(words[:maxWords], "") + "…"
	}
	return words
}

// remedy is what the API server's message lacks: how to let a write to an immutable object happen.
func remedy(failure error) string {
	if apierrors.IsInvalid(failure) && strings.Contains(failure.Error(), "field is immutable when `immutable` is set") {
		return ". Delete it: it is created again at once"
	}
	return ""
}

// redact removes the values of data from a text, as they are and in base64.
func redact(text string, data map[string][]byte) string {
	for _, value := range data {
		if len(value) >= quotable {
			text = strings.ReplaceAll(text, string(value), "REDACTED")
			text = strings.ReplaceAll(text, base64.StdEncoding.EncodeToString(value), "REDACTED")
		}
	}
	return text
}
