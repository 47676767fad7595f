// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package serve

import (
	"context"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
)

const (
	// DefaultRoom is the memory that all connections and their requests may hold: so much that
	// DefaultMaxConnections of HTTP/2 can be idle at once, whose longest frames have had 512
	// bytes.
	DefaultRoom = 106 << 20

	// connectionBytes is what a connection holds: buffers, keys and goroutines of TLS and
	// HTTP/1.1.
	connectionBytes = 20 << 10
	// framesBytes is what a connection of HTTP/2 holds more: goroutines, queues, and the tables
	// that compress headers. What is read of it at once counts beside that.
	framesBytes = 2 << 10
	// requestBytes is what a request holds beside its body and the names of its headers: a
	// goroutine, its stack, the values of the headers, and an answer that fits shortAnswer. It
	// is twice that, because the next one finds it not collected yet.
	requestBytes = 48 << 10
	// nameBytes is what each name of a header takes.
	nameBytes = 128
	// shortAnswer is the length up to which net/http holds an answer when its handler has
	// returned.
	shortAnswer = 4 << 10

	// maxUnread is how many answers of a connection may wait for its caller to take them, and
	// maxUnreadBytes their length.
	maxUnread      = 16
	maxUnreadBytes = 64 << 10
	// maxOpen is how many streams a caller may open before it knows how many it may (RFC 9113
	// section 5.1.2).
	maxOpen = 4 * maxStreams
)

// Room bounds the memory that connections hold, and their requests: those that are received, worked
// on, or answered until their caller has taken the answer. If there is no more, it closes
// connections of the source that holds the most, in the network that holds the most.
type Room struct {
	limit int64
	// held is what all connections hold. leaving is the part of it that evicted connections
	// hold until their server has dropped them.
	held, leaving atomic.Int64

	mu       sync.Mutex
	networks networks
	holders  map[netip.Prefix]*holder
}

// holder is a source with the connections that it has at all listeners of a Room.
type holder struct {
	*lineage // its weights are those of the last look

	held        atomic.Int64 // without what is leaving
	connections map[*fairConn]struct{}
	// forwarded are the requests of the source if it is a proxy.
	forwarded forwarded
}

// NewRoom returns a Room of limit bytes for the connections of several listeners.
func NewRoom(limit int) *Room {
	return &Room{limit: int64(limit), networks: networks{}, holders: map[netip.Prefix]*holder{}}
}

// enter adds a connection to those of its source.
func (r *Room) enter(c *fairConn) {
	r.mu.Lock()
	defer r.mu.Unlock()
	h := r.holders[c.source]
	if h == nil {
		h = &holder{lineage: r.networks.enter(c.listener.bounds.Sources, c.source), connections: map[*fairConn]struct{}{}}
		r.holders[c.source] = h
	}
	h.connections[c] = struct{}{}
	c.load.room, c.load.holder = r, h
}

// leave removes a connection; it is a no-op if the connection was removed before.
func (r *Room) leave(c *fairConn) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if h := c.load.holder; h == r.holders[c.source] {
		if delete(h.connections, c); len(h.connections) == 0 {
			delete(r.holders, c.source)
			h.add(-h.own.weight)
			r.networks.leave(h.lineage)
		}
	}
}

// full reports whether there is no more room. What is about to be given back counts only when it is
// more than a quarter of the room: then connections come faster than their servers drop them.
func (r *Room) full() bool {
	held := r.held.Load()
	return held-r.leaving.Load() > r.limit || held > r.limit+r.limit/4
}

// refuses reports whether a further connection of a source is closed at once: while the room is
// almost full and the source holds the most. So its connections are not accepted to be evicted,
// which would take the processor and leave garbage. The connections of a proxy are accepted while
// its requests can be ended.
func (r *Room) refuses(source netip.Prefix) bool {
	if r.held.Load() <= r.limit-r.limit/8 {
		return false
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	h := r.holders[source]
	return h != nil && r.heaviest(h) == h && !h.canEnd()
}

// evict closes a connection of the source that holds the most, for one that has added to what is
// held. If both are of one source, it closes the one that has added: so a source without room stops
// at once, and waits for nothing. If the source is a proxy, it ends requests of sources behind it
// instead.
func (r *Room) evict(added *fairConn) {
	r.mu.Lock()
	largest := added
	most := r.heaviest(added.load.holder)
	if most != added.load.holder {
		for c := range most.connections {
			if largest == added || c.load.held.Load() > largest.load.held.Load() {
				largest = c
			}
		}
	}
	r.mu.Unlock()
	if !most.end(r, added.listener.bounds.Closed) {
		largest.evict(BoundMemory)
	}
}

// heaviest returns the source that loses a connection where the given one adds: the given one, if
// no other holds more where the two differ, and otherwise the one that holds the most in the
// network that holds the most. The caller has locked the Room.
func (r *Room) heaviest(adds *holder) *holder {
	for _, h := range r.holders {
		h.add(-h.own.weight) // of all before
	}
	for _, h := range r.holders {
		h.add(h.held.Load())
	}
	most := adds
	for _, h := range r.holders {
		if has, wants := h.differ(adds.lineage); has > wants && (most == adds || h.compare(most.lineage) > 0) {
			most = h
		}
	}
	return most
}

// load is what the requests of a connection hold.
type load struct {
	room   *Room
	holder *holder
	held   atomic.Int64

	mu sync.Mutex
	// ended means that the connection is closed, and leaving that it was evicted.
	ended, leaving bool
	// open are the streams of HTTP/2 whose answer has not been sent whole; last is the newest
	// one.
	open []stream
	last uint32
	// working is the number of requests that a handler works on.
	working int
	// writing is the length of long answers that are being sent.
	writing int
	// record and frame are the longest that were read of TLS and of HTTP/2: their buffers stay.
	record, frame int
	// ahead is what is counted of bytes that were read and belong to no request yet.
	ahead int
	// waiting is closed when an answer was taken. It is nil if no request waits for that.
	waiting chan struct{}
}

// stream is an open stream of HTTP/2, and what its body takes: it is held as it was received, and
// again by its reader.
type stream struct {
	id   uint32
	body int
}

// add adds to what is held. The caller has locked the load.
func (l *load) add(n int) {
	if !l.ended {
		l.held.Add(int64(n))
		l.holder.held.Add(int64(n))
		l.room.held.Add(int64(n))
	}
}

// counts reports whether what is added is counted: not if the connection is closed.
func (l *load) counts() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return !l.ended
}

// keeps counts a buffer that grows to n bytes and stays.
func (l *load) keeps(buffer *int, n int) {
	if n > *buffer {
		l.add(n - *buffer)
		*buffer = n
	}
}

// leave is called when the connection is evicted. What it holds is about to be given back. It
// returns false if the connection was closed before.
func (l *load) leave() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ended {
		return false
	}
	l.ended, l.leaving = true, true
	l.holder.held.Add(-l.held.Load())
	l.room.leaving.Add(l.held.Load())
	l.wake()
	return true
}

// end gives back all that is held, when the server has dropped the connection.
func (l *load) end() {
	l.mu.Lock()
	defer l.mu.Unlock()
	held := l.held.Swap(0)
	l.room.held.Add(-held)
	if l.leaving {
		l.room.leaving.Add(-held)
	} else {
		l.holder.held.Add(-held)
	}
	l.ended = true
	l.wake()
}

// unread is the number of answers that their caller has not taken. Streams that no handler has
// begun or can begin count too, for as long.
func (l *load) unread() int { return max(0, len(l.open)-l.working) }

func (l *load) full() bool {
	unread := l.unread()
	return !l.ended && (unread >= maxUnread || unread*shortAnswer+l.writing >= maxUnreadBytes)
}

func (l *load) wake() {
	if l.waiting != nil && !l.full() {
		close(l.waiting)
		l.waiting = nil
	}
}

// begin lets a handler begin once the answers of its connection are taken. It returns false if the
// request ends before that.
func (l *load) begin(ctx context.Context) bool {
	began := l.beginLocked(ctx)
	l.mu.Unlock()
	return began
}

// beginLocked is begin, and leaves the load locked.
func (l *load) beginLocked(ctx context.Context) bool {
	l.mu.Lock()
	l.working++
	for l.wake(); l.full(); {
		if l.waiting == nil {
			l.waiting = make(chan struct{})
		}
		waiting := l.waiting
		l.mu.Unlock()
		select {
		case <-ctx.Done():
			l.mu.Lock()
			l.working--
			return false
		case <-waiting:
		}
		l.mu.Lock()
	}
	if l.ended {
		l.working--
	}
	return !l.ended
}

// resume notes that an answered request is worked on again.
func (l *load) resume() {
	l.mu.Lock()
	l.working++
	l.wake()
	l.mu.Unlock()
}

// answered notes that a request is not worked on any more.
func (l *load) answered() {
	l.mu.Lock()
	l.working--
	l.mu.Unlock()
}

// opened counts a stream.
func (l *load) opened(id uint32) {
	if id > l.last { // otherwise these are the trailers of a request
		l.last = id
		l.open = append(l.open, stream{id: id})
		l.add(requestBytes)
	}
}

// has reports whether a stream is counted.
func (l *load) has(id uint32) bool {
	return slices.ContainsFunc(l.open, func(s stream) bool { return s.id == id })
}

// received counts a part of a body.
func (l *load) received(id uint32, n int) {
	for i := range l.open {
		if l.open[i].id == id {
			l.open[i].body += 2 * n
			l.add(2 * n)
			return
		}
	}
}

// closed uncounts a stream; it is a no-op if the stream is not counted.
func (l *load) closed(id uint32) {
	for i, s := range l.open {
		if s.id == id {
			l.open[i] = l.open[len(l.open)-1]
			l.open = l.open[:len(l.open)-1]
			l.add(-requestBytes - s.body)
			l.wake()
			return
		}
	}
}
