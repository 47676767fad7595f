// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package revocation

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/hallpass-dev/hallpass/internal/wire"
)

// The origins of the tokens of a batch are the clients to which they were issued, and when. They
// are stored beside the tokens, which have the same order:
//
//	version (1), number of clients, then for each client in the order of its tokens:
//	  client_id, namespace, number of tokens
//	  the instant of issue of each token, in seconds since 1970, as four bytes
//
// Numbers are varints, and a text has its length before it. Tokens after those of all
// clients have no origin. Builds that know no origins ignore them.
//
// The origins of used assertions are the namespaces of the clients that used them. They are stored
// after the clients and count as such. In the place of a client_id is the number of assertions in
// decimal after a space, which no client_id has, and the number of tokens is zero. So builds that
// know only the origins of tokens read them as clients without tokens.
const originsVersion = 1

// MaxClients bounds the clients of a stored batch, and the namespaces of its assertions are among
// them. Their origins then take 370 KiB at most.
const MaxClients = 1024

// ofUsers precedes the number of assertions in the place of a client_id.
const ofUsers = " "

// byClient returns a list of a batch in the order in which it is stored: entries without a client
// are last.
func byClient(list []Entry) []Entry {
	return slices.SortedStableFunc(slices.Values(list), func(x, y Entry) int { return cmp.Compare(x.Client-1, y.Client-1) })
}

// eachClient calls a function with the entries of each client in a list that is sorted by client.
func eachClient(list []Entry, visit func(of uint32, entries []Entry)) (clients int) {
	for len(list) > 0 && list[0].Client != 0 {
		of := list[0].Client
		count := slices.IndexFunc(list, func(r Entry) bool { return r.Client != of })
		if count < 0 {
			count = len(list)
		}
		visit(of, list[:count])
		list, clients = list[count:], clients+1
	}
	return clients
}

// packOrigins encodes the origins of tokens and assertions that are sorted by client; nil if none
// has a client.
func packOrigins(tokens, assertions []Entry, clients []Client) []byte {
	var w wire.Writer
	number := eachClient(tokens, func(of uint32, entries []Entry) {
		w.Text(clients[of-1].ID)
		w.Text(clients[of-1].Namespace)
		w.Varint(int64(len(entries)))
		for _, r := range entries {
			w.Bytes = binary.BigEndian.AppendUint32(w.Bytes, r.IssuedAt)
		}
	})
	number += eachClient(assertions, func(of uint32, entries []Entry) {
		w.Text(ofUsers + strconv.Itoa(len(entries)))
		w.Text(clients[of-1].Namespace)
		w.Varint(0)
	})
	if number == 0 {
		return nil
	}
	head := binary.AppendVarint([]byte{originsVersion}, int64(number))
	return append(head, w.Bytes...)
}

// unpackOrigins decodes the output of packOrigins into tokens and assertions, and returns their
// clients. With an error it changes no entry.
func unpackOrigins(tokens, assertions []Entry, origins []byte) ([]Client, error) {
	if len(origins) == 0 {
		return nil, nil
	}
	r, known, used := wire.NewReader(string(origins)), slices.Clone(tokens), slices.Clone(assertions)
	if version := r.Byte(); version != originsVersion {
		return nil, fmt.Errorf("%w: origins of version %d, this build reads %d", ErrUnreadable, version, originsVersion)
	}
	var clients []Client
	at, usedAt := 0, 0
	for range r.Count() {
		of := Client{ID: r.Text(), Namespace: r.Text()}
		count := r.Count()
		if users, is := strings.CutPrefix(of.ID, ofUsers); is {
			clients = append(clients, Client{Namespace: of.Namespace})
			n, err := strconv.ParseUint(users, 10, 32)
			if err != nil || count != 0 || n > uint64(len(used)-usedAt) {
				r.Fail()
				break
			}
			for range n {
				used[usedAt].Client = uint32(len(clients)) //nolint:gosec // as many as there are assertions
				usedAt++
			}
			continue
		}
		clients = append(clients, of)
		if count > len(known)-at {
			r.Fail()
			break
		}
		for range count {
			if issued := r.Raw(4); len(issued) == 4 {
				known[at].IssuedAt, known[at].Client = binary.BigEndian.Uint32([]byte(issued)), uint32(len(clients)) //nolint:gosec // as many as there are tokens
			}
			at++
		}
	}
	if !r.Done() {
		return nil, fmt.Errorf("%w: origins of the wrong form", ErrUnreadable)
	}
	copy(tokens, known)
	copy(assertions, used)
	return clients, nil
}

// numbers gives the clients of a batch their numbers.
type numbers map[Client]uint32

// of returns the number of a client in a batch, to which it is added if need be.
func (n numbers) of(client Client, batch *Batch) uint32 {
	number, there := n[client]
	if !there {
		batch.Clients = append(batch.Clients, client)
		number = uint32(len(batch.Clients)) //nolint:gosec // as many as there are tokens
		n[client] = number
	}
	return number
}

// within returns the number of a client in a batch, to which it is added if that has fewer clients
// than a bound; zero if it is not there.
func (n numbers) within(bound int, client Client, batch *Batch) uint32 {
	if _, there := n[client]; !there && len(batch.Clients) >= bound {
		return 0
	}
	return n.of(client, batch)
}

// clientOf returns the client of an entry of the batch; the zero Client if it has none.
func (b Batch) clientOf(r Entry) Client { return b.client(r.Client) }

// client returns the client with a number in the batch; the zero Client for zero.
func (b Batch) client(number uint32) Client {
	if number == 0 {
		return Client{}
	}
	return b.Clients[number-1]
}
