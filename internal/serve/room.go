// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package serve

import (
	"cmp"
	"context"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
)

const (
	// DefaultRoom is the memory that all connections and their requests may hold.
	DefaultRoom = 56 << 20

	// connectionBytes is what a connection holds: buffers, keys and goroutines of TLS and HTTP/1.1.
	connectionBytes = 24 << 10
	// framesBytes is what a connection of HTTP/2 holds more: goroutines, queues, and the tables that
	// compress headers. What is read of it at once counts beside that.
	framesBytes = 48 << 10
	// requestBytes is what a request holds beside its body and the names of its headers: a
	// goroutine, its stack, the values of the headers, and an answer that fits shortAnswer.
	requestBytes = 28 << 10
	// nameBytes is what each name of a header takes.
	nameBytes = 128
	// shortAnswer is the length up to which net/http holds an answer when its handler has returned.
	shortAnswer = 4 << 10

	// maxUnread is how many answers of a connection may wait for its caller to take them, and
	// maxUnreadBytes their length.
	maxUnread      = 16
	maxUnreadBytes = 64 << 10
	// maxOpen is how many streams a caller may open before it knows how many it may (RFC 9113
	// section 5.1.2).
	maxOpen = 4 * maxStreams
)

// Room bounds the memory that connections hold, and their requests: those that are received, worked on or answered until
// their caller has taken the answer. If there is no more, it closes connections of the source that
// holds the most.
type Room struct {
	limit int64
	held  atomic.Int64

	mu        sync.Mutex
	listeners []*FairListener
}

// NewRoom returns a Room of limit bytes for the connections of several listeners.
func NewRoom(limit int) *Room { return &Room{limit: int64(limit)} }

func (r *Room) add(l *FairListener) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.listeners = append(r.listeners, l)
}

// clear closes connections until an eighth of the room is free. While one goroutine does so, those
// that need room wait.
func (r *Room) clear() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for r.held.Load() > r.limit-r.limit/8 {
		connections := r.heaviest()
		if len(connections) == 0 {
			return
		}
		slices.SortFunc(connections, func(a, b *fairConn) int { return cmp.Compare(b.load.held.Load(), a.load.held.Load()) })
		for _, c := range connections[:(len(connections)+7)/8] { // then another source may hold the most
			if c.evict(); r.held.Load() <= r.limit-r.limit/8 {
				return
			}
		}
	}
}

// heaviest returns the connections of the source that holds the most.
func (r *Room) heaviest() []*fairConn {
	held, connections := map[netip.Prefix]int64{}, map[netip.Prefix][]*fairConn{}
	var most netip.Prefix
	for _, l := range r.listeners {
		l.mu.Lock()
		for source, open := range l.sources {
			for c := range open {
				held[source] += c.load.held.Load()
				connections[source] = append(connections[source], c)
			}
			if held[source] > held[most] {
				most = source
			}
		}
		l.mu.Unlock()
	}
	return connections[most]
}

// load is what the requests of a connection hold.
type load struct {
	held atomic.Int64

	mu    sync.Mutex
	ended bool
	// open are the streams of HTTP/2 whose answer has not been sent whole; last is the newest one.
	open []stream
	last uint32
	// working is the number of requests that a handler works on.
	working int
	// writing is the length of long answers that are being sent.
	writing int
	// record and frame are the longest that were read of TLS and of HTTP/2: their buffers stay.
	record, frame int
	// waiting is closed when an answer was taken. It is nil if no request waits for that.
	waiting chan struct{}
}

// stream is an open stream of HTTP/2, and the length of what was received of its body.
type stream struct {
	id   uint32
	body int
}

// add adds to what is held. The caller has locked the load, and calls Room.clear when it has
// unlocked it if add returns true.
func (l *load) add(r *Room, n int) (full bool) {
	if l.ended {
		return false
	}
	l.held.Add(int64(n))
	return r.held.Add(int64(n)) > r.limit && n > 0
}

// keeps counts a buffer that grows to n bytes and stays.
func (l *load) keeps(r *Room, buffer *int, n int) (full bool) {
	if n <= *buffer {
		return false
	}
	grown := n - *buffer
	*buffer = n
	return l.add(r, grown)
}

// end gives back all that is held.
func (l *load) end(r *Room) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.ended {
		l.ended = true
		r.held.Add(-l.held.Swap(0))
		l.wake()
	}
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
			l.answered()
			return false
		case <-waiting:
		}
		l.mu.Lock()
	}
	ended := l.ended
	l.mu.Unlock()
	if ended {
		l.answered()
	}
	return !ended
}

// answered notes that a request is not worked on any more.
func (l *load) answered() {
	l.mu.Lock()
	l.working--
	l.mu.Unlock()
}

// opened counts a stream.
func (l *load) opened(r *Room, id uint32) (full bool) {
	if id <= l.last { // the trailers of a request
		return false
	}
	l.last = id
	l.open = append(l.open, stream{id: id})
	return l.add(r, requestBytes)
}

// received counts a part of a body.
func (l *load) received(r *Room, id uint32, n int) (full bool) {
	for i := range l.open {
		if l.open[i].id == id {
			l.open[i].body += n
			return l.add(r, n)
		}
	}
	return false
}

// closed uncounts a stream; it is a no-op if the stream is not counted.
func (l *load) closed(r *Room, id uint32) {
	for i, s := range l.open {
		if s.id == id {
			l.open[i] = l.open[len(l.open)-1]
			l.open = l.open[:len(l.open)-1]
			l.add(r, -requestBytes-s.body)
			l.wake()
			return
		}
	}
}
