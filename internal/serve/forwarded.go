// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package serve

import (
	"net/http"
	"net/netip"
	"sync"
	"time"
)

// forwarded are the requests that a proxy forwards, by the sources that it names. Where there is no
// room and the proxy holds the most, a request of the source with the most behind it ends in the
// place of a connection, because a connection has the requests of many sources.
type forwarded struct {
	mu       sync.Mutex
	networks networks
	sources  map[netip.Prefix]*behind
	// held is what the requests hold at least that were not ended.
	held int64
}

// behind is a source behind a proxy.
type behind struct {
	*lineage // its weights are those of the requests that were not ended

	requests map[*forwardedRequest]struct{}
}

// forwardedRequest is a request that a proxy forwards. The lock of forwarded guards it.
type forwardedRequest struct {
	on     *fairConn
	source netip.Prefix
	// held is what the request holds at least, and weight what it may come to hold.
	held, weight int64
	// reading ends the read of the body.
	reading *http.ResponseController
	// ended means that the request was ended for room. What it holds is about to be given back.
	ended bool
}

// forward counts a request of a source behind the proxy from which its connection comes. It returns
// nil if the source is that of the connection.
func (c *fairConn) forward(source netip.Prefix, w http.ResponseWriter, r *http.Request, held int) *forwardedRequest {
	if !source.IsValid() || source == c.source {
		return nil
	}
	weight := held
	if r.ProtoMajor > 1 { // streams are counted by their frames
		held += requestBytes
		if weight = held + 2*maxBody; r.ContentLength >= 0 {
			weight = held + 2*int(min(r.ContentLength, maxBody))
		}
	}
	f := &forwardedRequest{on: c, source: source, held: int64(held), weight: int64(weight), reading: http.NewResponseController(w)}
	all := &c.load.holder.forwarded
	all.mu.Lock()
	defer all.mu.Unlock()
	b := all.sources[source]
	if b == nil {
		if all.sources == nil {
			all.networks, all.sources = networks{}, map[netip.Prefix]*behind{}
		}
		b = &behind{lineage: all.networks.enter(c.listener.bounds.Sources, source), requests: map[*forwardedRequest]struct{}{}}
		all.sources[source] = b
	}
	b.requests[f] = struct{}{}
	b.add(f.weight)
	all.held += f.held
	return f
}

// answered removes a request whose handler returns. It is a no-op for nil.
func (f *forwardedRequest) answered() {
	if f == nil {
		return
	}
	holder := f.on.load.holder
	all := &holder.forwarded
	all.mu.Lock()
	defer all.mu.Unlock()
	b := all.sources[f.source]
	if f.ended {
		f.on.load.room.leaving.Add(-f.held)
		holder.held.Add(f.held)
	} else {
		b.add(-f.weight)
		all.held -= f.held
	}
	if delete(b.requests, f); len(b.requests) == 0 {
		delete(all.sources, f.source)
		all.networks.leave(b.lineage)
	}
}

// canEnd reports whether requests of sources behind the proxy are ended where there is no room.
// They are not if they hold less than half of what the proxy holds: the rest belongs to no source,
// and would not be given back.
func (h *holder) canEnd() bool {
	h.forwarded.mu.Lock()
	defer h.forwarded.mu.Unlock()
	return h.canEndLocked()
}

func (h *holder) canEndLocked() bool {
	return h.forwarded.held > 0 && 2*h.forwarded.held >= h.held.Load()
}

// end ends requests of sources behind the proxy until there is room. It returns false if it has
// ended none.
func (h *holder) end(room *Room, closed func(Bound, netip.Prefix)) (ended bool) {
	for room.full() {
		source, ok := h.endOne(room)
		if !ok {
			break
		}
		ended = true
		closed(BoundMemory, source)
	}
	return ended
}

// endOne ends the request with the longest body of the source behind the proxy that has the most,
// in the network that has the most. It returns false if none can be ended.
func (h *holder) endOne(room *Room) (of netip.Prefix, ended bool) {
	all := &h.forwarded
	all.mu.Lock()
	defer all.mu.Unlock()
	if !h.canEndLocked() {
		return netip.Prefix{}, false
	}
	var most *behind
	for _, b := range all.sources {
		if b.own.weight > 0 && (most == nil || b.compare(most.lineage) > 0) {
			most = b
		}
	}
	if most == nil {
		return netip.Prefix{}, false
	}
	var longest *forwardedRequest
	for f := range most.requests {
		if !f.ended && (longest == nil || f.weight > longest.weight) {
			longest = f
		}
	}
	longest.ended = true
	most.add(-longest.weight)
	all.held -= longest.held
	h.held.Add(-longest.held)
	room.leaving.Add(longest.held)
	// the connection may be closed already
	_ = longest.reading.SetReadDeadline(time.Unix(1, 0))
	return longest.source, true
}
