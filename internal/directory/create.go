// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package directory

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	utilnet "k8s.io/apimachinery/pkg/util/net"
	"k8s.io/client-go/rest"
)

const (
	// maxRefusal bounds what is read of an answer that refuses a request, and maxRefusalText
	// what an error repeats of one that is no Status.
	maxRefusal     = 64 << 10
	maxRefusalText = 2 << 10
)

// creator creates objects of one resource. It sends a plain request with the HTTP client of a
// rest.RESTClient, because each login waits for one: a rest.Request also builds the address, traces
// the connection, prepares retries, and reads the answer, of which only the status matters.
type creator struct {
	client   *http.Client
	url      string
	resource schema.GroupResource
}

func newCreator(from *rest.RESTClient, namespace, resource string) creator {
	return creator{
		client: from.Client, url: from.Post().Namespace(namespace).Resource(resource).URL().String(),
		resource: schema.GroupResource{Group: from.APIVersion().Group, Resource: resource},
	}
}

// create creates an object, which is JSON. The error of an answer other than 201 is a StatusError.
func (c creator) create(ctx context.Context, object []byte) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, c.url, bytes.NewReader(object))
	if err != nil {
		return fmt.Errorf("make the request: %w", err)
	}
	request.Header.Set("Content-Type", runtime.ContentTypeJSON)
	request.Header.Set("Accept", runtime.ContentTypeJSON+", */*")
	response, err := c.client.Do(request)
	if err != nil {
		return err //nolint:wrapcheck // it names method and address
	}
	defer func() { _ = response.Body.Close() }()
	logWarnings(response.Header)
	if response.StatusCode != http.StatusCreated {
		return c.refusal(response)
	}
	// the next request uses the connection if the body was read; the object exists in any case
	_, _ = io.Copy(io.Discard, response.Body)
	return nil
}

// logWarnings logs the warnings of the API server, as a rest.Request does.
func logWarnings(header http.Header) {
	warnings, _ := utilnet.ParseWarningHeaders(header["Warning"])
	for _, warning := range warnings {
		rest.WarningLogger{}.HandleWarningHeader(warning.Code, warning.Agent, warning.Text)
	}
}

// refusal is the error of an answer: the Status in its body, or one that is made of its code.
// Either has the Retry-After of the answer.
func (c creator) refusal(response *http.Response) error {
	body, err := io.ReadAll(io.LimitReader(response.Body, maxRefusal))
	if err != nil {
		return fmt.Errorf("read the answer %s: %w", response.Status, err)
	}
	retryAfter, _ := strconv.ParseInt(response.Header.Get("Retry-After"), 10, 32)
	var status metav1.Status
	if json.Unmarshal(body, &status) != nil || status.Kind != "Status" || status.Status != metav1.StatusFailure {
		text := strings.TrimSpace(string(body[:min(len(body), maxRefusalText)]))
		return apierrors.NewGenericServerResponse(response.StatusCode, http.MethodPost, c.resource, "", text, int(retryAfter), true) //nolint:wrapcheck // it is made here
	}
	if status.Details == nil {
		status.Details = &metav1.StatusDetails{}
	}
	status.Details.RetryAfterSeconds = max(status.Details.RetryAfterSeconds, int32(retryAfter))
	return &apierrors.StatusError{ErrStatus: status}
}
