// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/portforward"
	"k8s.io/client-go/transport/spdy"
	"k8s.io/streaming/pkg/httpstream"
)

// The Pods of the token server and their port.
const (
	tokenServers = "app.kubernetes.io/name=hallpass,app.kubernetes.io/component=tokenserver"
	portName     = "https"
)

// Forward connects to a Pod of the token server by way of the API server, as kubectl port-forward
// does, without a port on this machine.
func (c *Client) Forward(ctx context.Context) (net.Conn, error) {
	pod, port, err := c.tokenServer(ctx)
	if err != nil {
		return nil, err
	}
	dialer, err := c.streams(pod)
	if err != nil {
		return nil, fmt.Errorf("forward a port: %w", err)
	}
	connection, _, err := dialer.Dial(portforward.PortForwardProtocolV1Name)
	if err != nil {
		return nil, c.explain(err, attempt{"forward a port of", Pods(), pod})
	}
	data, err := openStreams(connection, port)
	if err != nil {
		_ = connection.Close() // the error of the streams is the cause
		return nil, fmt.Errorf("forward a port of Pod %q: %w", pod, err)
	}
	return &forwarded{data, connection, pod}, nil
}

// tokenServer finds a Pod of the token server that is ready, and its port.
func (c *Client) tokenServer(ctx context.Context) (name string, port int32, err error) {
	read, err := c.List(ctx, Pods(), metav1.ListOptions{LabelSelector: tokenServers})
	if err != nil {
		return "", 0, err
	}
	for i := range read.Items {
		pod, err := As[corev1.Pod](&read.Items[i])
		if err != nil {
			return "", 0, err
		}
		if port := servingPort(pod); port > 0 && isReady(pod) {
			return pod.Name, port, nil
		}
	}
	return "", 0, fmt.Errorf("no Pod of the token server is ready in namespace %q", c.Namespace)
}

func servingPort(pod *corev1.Pod) int32 {
	for _, container := range pod.Spec.Containers {
		for _, port := range container.Ports {
			if port.Name == portName {
				return port.ContainerPort
			}
		}
	}
	return 0
}

func isReady(pod *corev1.Pod) bool {
	for _, c := range pod.Status.Conditions {
		if c.Type == corev1.PodReady {
			return c.Status == corev1.ConditionTrue && pod.DeletionTimestamp == nil
		}
	}
	return false
}

// streams makes a dialer to a Pod: by WebSocket, or by SPDY where a proxy or an older API server
// knows no WebSocket.
func (c *Client) streams(pod string) (httpstream.Dialer, error) {
	base, err := c.base()
	if err != nil {
		return nil, err
	}
	target := base.JoinPath("api", "v1", "namespaces", c.Namespace, "pods", pod, "portforward")
	transport, upgrader, err := spdy.RoundTripperFor(c.Config)
	if err != nil {
		return nil, fmt.Errorf("prepare SPDY: %w", err)
	}
	bySPDY := spdy.NewDialerForStreaming(upgrader, &http.Client{Transport: transport}, http.MethodPost, target)
	byWebSocket, err := portforward.NewSPDYOverWebsocketDialerForStreaming(target, c.Config)
	if err != nil {
		return nil, fmt.Errorf("prepare WebSocket: %w", err)
	}
	return portforward.NewFallbackDialerForStreaming(byWebSocket, bySPDY, func(err error) bool {
		return httpstream.IsUpgradeFailure(err) || httpstream.IsHTTPSProxyError(err)
	}), nil
}

// base is the address of the API server.
func (c *Client) base() (*url.URL, error) {
	base, _, err := rest.DefaultServerUrlFor(c.Config)
	if err != nil {
		return nil, fmt.Errorf("read the address of the API server: %w", err)
	}
	return base, nil
}

// openStreams opens the two streams of a forwarded connection, and returns that of the data.
func openStreams(connection httpstream.Connection, port int32) (httpstream.Stream, error) {
	headers := http.Header{}
	headers.Set(corev1.PortHeader, strconv.Itoa(int(port)))
	headers.Set(corev1.PortForwardRequestIDHeader, "0")
	headers.Set(corev1.StreamType, corev1.StreamTypeError)
	failures, err := connection.CreateStream(headers)
	if err != nil {
		return nil, fmt.Errorf("open the stream of errors: %w", err)
	}
	if err := failures.Close(); err != nil { // nothing is written to it
		return nil, fmt.Errorf("close the stream of errors: %w", err)
	}
	headers.Set(corev1.StreamType, corev1.StreamTypeData)
	data, err := connection.CreateStream(headers)
	if err != nil {
		return nil, fmt.Errorf("open the stream of data: %w", err)
	}
	return data, nil
}

// forwarded is a forwarded connection. Its deadlines do nothing: the client of HTTP ends requests
// by closing it.
type forwarded struct {
	httpstream.Stream

	connection httpstream.Connection
	pod        string
}

// Close implements net.Conn.
func (f *forwarded) Close() error {
	if err := f.connection.Close(); err != nil {
		return fmt.Errorf("close the connection to Pod %q: %w", f.pod, err)
	}
	return nil
}

// LocalAddr implements net.Conn.
func (f *forwarded) LocalAddr() net.Addr { return podAddr("kubectl-hallpass") }

// RemoteAddr implements net.Conn.
func (f *forwarded) RemoteAddr() net.Addr { return podAddr(f.pod) }

// SetDeadline implements net.Conn.
func (f *forwarded) SetDeadline(time.Time) error { return nil }

// SetReadDeadline implements net.Conn.
func (f *forwarded) SetReadDeadline(time.Time) error { return nil }

// SetWriteDeadline implements net.Conn.
func (f *forwarded) SetWriteDeadline(time.Time) error { return nil }

// podAddr is the name of a Pod as an address.
type podAddr string

// Network implements net.Addr.
func (podAddr) Network() string { return "pod" }

// String implements net.Addr.
func (a podAddr) String() string { return string(a) }
