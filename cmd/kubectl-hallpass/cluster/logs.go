// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/client-go/rest"
)

// Logs hands over the log of each Pod of the token server, until one returns true. It returns the
// number of logs that were read.
func (c *Client) Logs(ctx context.Context, each func(pod string, log io.Reader) (found bool, err error)) (int, error) {
	pods, err := c.List(ctx, Pods(), metav1.ListOptions{LabelSelector: tokenServers})
	if err != nil {
		return 0, err
	}
	config := rest.CopyConfig(c.Config)
	config.APIPath, config.GroupVersion = "/api", &corev1.SchemeGroupVersion
	config.NegotiatedSerializer = serializer.NewCodecFactory(runtime.NewScheme()).WithoutConversion()
	connection, err := httpClient(config)
	if err != nil {
		return 0, fmt.Errorf("prepare to read logs: %w", err)
	}
	client, err := rest.RESTClientForConfigAndClient(config, connection)
	if err != nil {
		return 0, fmt.Errorf("prepare to read logs: %w", err)
	}
	for i := range pods.Items {
		name := pods.Items[i].GetName()
		log, err := client.Get().Namespace(c.Namespace).Resource(Pods().GVR.Resource).Name(name).SubResource("log").Stream(ctx)
		if err != nil {
			return i, c.explain(err, attempt{"read the log of", Pods(), name})
		}
		found, err := each(name, log)
		_ = log.Close() // it was read
		if found || err != nil {
			return i + 1, err
		}
	}
	return len(pods.Items), nil
}

// Time is the time of the API server, by the Date of an answer, to the second.
func (c *Client) Time(ctx context.Context) (time.Time, error) {
	client, err := httpClient(c.Config)
	if err != nil {
		return time.Time{}, fmt.Errorf("prepare to ask for the time: %w", err)
	}
	base, err := c.base()
	if err != nil {
		return time.Time{}, err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, base.JoinPath("version").String(), http.NoBody)
	if err != nil {
		return time.Time{}, fmt.Errorf("ask for the time: %w", err)
	}
	response, err := client.Do(request)
	if err != nil {
		return time.Time{}, c.explain(err, attempt{"read the time of", Kind{Name: "the API server"}, ""})
	}
	_ = response.Body.Close() // its header has the time
	return dateOf(response.Header)
}

func dateOf(header http.Header) (time.Time, error) {
	at, err := http.ParseTime(header.Get("Date"))
	if err != nil {
		return time.Time{}, fmt.Errorf("the API server sends no time: %w", err)
	}
	return at, nil
}
