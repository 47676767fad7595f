// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"

	"github.com/hallpass-dev/hallpass/internal/registration"
	"github.com/hallpass-dev/hallpass/test/kit/installation"
)

// etcd is what the control plane keeps its objects in, asked over the JSON form of its own API.
type etcd struct{ http *http.Client }

func dial(socket string) etcd {
	return etcd{&http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", socket)
	}}}}
}

// pair is one key with its value.
type pair struct {
	Key   []byte `json:"key"`
	Value []byte `json:"value,omitempty"`
}

func (e etcd) call(ctx context.Context, path string, question, answer any) error {
	body, err := json.Marshal(question)
	if err != nil {
		return err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://etcd/v3/"+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	response, err := e.http.Do(request)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	content, err := io.ReadAll(response.Body)
	if err != nil {
		return err
	}
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("etcd answers %s to %s: %s", response.Status, path, content)
	}
	if answer == nil {
		return nil
	}
	return json.Unmarshal(content, answer)
}

// size is that of the database when former versions and gaps are gone, as an administrator gets it
// by compaction and defragmentation.
func (e etcd) size(ctx context.Context) (bytes int64, err error) {
	var status struct {
		Header struct {
			Revision string `json:"revision"`
		} `json:"header"`
		Size int64 `json:"dbSize,string"`
	}
	if err := e.call(ctx, "maintenance/status", struct{}{}, &status); err != nil {
		return 0, err
	}
	compaction := map[string]any{"revision": status.Header.Revision, "physical": true}
	if err := e.call(ctx, "kv/compaction", compaction, nil); err != nil && !strings.Contains(err.Error(), "has been compacted") {
		return 0, err
	}
	if err := e.call(ctx, "maintenance/defragment", struct{}{}, nil); err != nil {
		return 0, err
	}
	err = e.call(ctx, "maintenance/status", struct{}{}, &status)
	return status.Size, err
}

// stored are the pairs whose keys begin with a prefix.
func (e etcd) stored(ctx context.Context, prefix string) ([]pair, error) {
	end := []byte(prefix)
	end[len(end)-1]++
	var found struct {
		Pairs []pair `json:"kvs"`
	}
	err := e.call(ctx, "kv/range", map[string][]byte{"key": []byte(prefix), "range_end": end}, &found)
	return found.Pairs, err
}

// put writes pairs, as many at once as etcd takes.
func (e etcd) put(ctx context.Context, pairs []pair) error {
	const atOnce = 128
	for len(pairs) > 0 {
		type operation struct {
			Put pair `json:"requestPut"`
		}
		var all []operation
		for _, p := range pairs[:min(atOnce, len(pairs))] {
			all = append(all, operation{p})
		}
		if err := e.call(ctx, "kv/txn", map[string]any{"success": all}, nil); err != nil {
			return err
		}
		pairs = pairs[len(all):]
	}
	return nil
}

const mebibyte = 1 << 20

// database returns how much larger etcd is than before there was a client.
func (w *world) database(ctx context.Context, found *figures) error {
	size, err := w.etcd.size(ctx)
	if err != nil {
		return err
	}
	found.add("database of etcd, compacted", float64(size)/mebibyte, "MiB")
	found.add("database of etcd a client, with its event", float64(size-w.emptyDatabase)/float64(found.clients), "B")
	return nil
}

// copyStored ends the control plane but etcd, and writes so many copies of what is stored for one
// client as the API server wrote it.
func (w *world) copyStored(copies int) func(ctx context.Context, found *figures) error {
	return func(ctx context.Context, found *figures) error {
		w.manager.stop()
		w.tokenserver.stop()
		if err := w.cp.StopAPIServer(); err != nil {
			return err
		}
		namespace, name := nameOf(0)
		var originals []pair
		for _, object := range []struct{ what, prefix string }{
			{"the OAuth2Client", "/registry/hallpass.dev/oauth2clients/" + namespace + "/" + name},
			{"its Secret", "/registry/secrets/" + namespace + "/" + name},
			{"its registration", "/registry/secrets/" + installation.RegistryNamespace + "/" + registration.SecretName(namespace+"."+name)},
		} {
			pairs, err := w.etcd.stored(ctx, object.prefix)
			if err != nil {
				return err
			}
			if len(pairs) == 0 {
				return errors.New("nothing is stored below " + object.prefix)
			}
			originals = append(originals, pairs[0])
			found.add("bytes of "+object.what+", with its key", float64(len(pairs[0].Key)+len(pairs[0].Value)), "B")
		}
		before, err := w.etcd.size(ctx)
		if err != nil {
			return err
		}
		for first := 0; first < copies; first += 1000 {
			var some []pair
			for i := first; i < min(first+1000, copies); i++ {
				for _, p := range originals {
					some = append(some, pair{fmt.Appendf(nil, "%s-%06d", p.Key, i), p.Value})
				}
			}
			if err := w.etcd.put(ctx, some); err != nil {
				return err
			}
		}
		after, err := w.etcd.size(ctx)
		found.add(fmt.Sprintf("database of etcd for %d more clients, without events", copies), float64(after-before)/mebibyte, "MiB")
		found.add("database of etcd a client, without its event", float64(after-before)/float64(copies), "B")
		return err
	}
}
