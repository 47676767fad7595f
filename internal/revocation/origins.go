// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package revocation

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"slices"

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
const originsVersion = 1

// MaxClients bounds the clients of a stored batch, whose origins then take 370 KiB at most.
const MaxClients = 1024

// byClient returns the tokens of a batch in the order in which they are stored: those without a
// client are last.
func (b Batch) byClient() []Entry {
	return slices.SortedStableFunc(slices.Values(b.Tokens), func(x, y Entry) int { return cmp.Compare(x.Client-1, y.Client-1) })
}

// packOrigins encodes the origins of tokens that are sorted by client; nil if none has a client.
func packOrigins(tokens []Entry, clients []Client) []byte {
	var w wire.Writer
	number := 0
	for len(tokens) > 0 && tokens[0].Client != 0 {
		of := tokens[0].Client
		count := slices.IndexFunc(tokens, func(r Entry) bool { return r.Client != of })
		if count < 0 {
			count = len(tokens)
		}
		w.Text(clients[of-1].ID)
		w.Text(clients[of-1].Namespace)
		w.Varint(int64(count))
		for _, r := range tokens[:count] {
			w.Bytes = binary.BigEndian.AppendUint32(w.Bytes, r.IssuedAt)
		}
		tokens, number = tokens[count:], number+1
	}
	if number == 0 {
		return nil
	}
	head := binary.AppendVarint([]byte{originsVersion}, int64(number))
	return append(head, w.Bytes...)
}

// unpackOrigins decodes the output of packOrigins into tokens, and returns their clients. With an
// error it changes no token.
func unpackOrigins(tokens []Entry, origins []byte) ([]Client, error) {
	if len(origins) == 0 {
		return nil, nil
	}
	r, known := wire.NewReader(string(origins)), slices.Clone(tokens)
	if version := r.Byte(); version != originsVersion {
		return nil, fmt.Errorf("%w: origins of version %d, this build reads %d", ErrUnreadable, version, originsVersion)
	}
	var clients []Client
	at := 0
	for range r.Count() {
		clients = append(clients, Client{ID: r.Text(), Namespace: r.Text()})
		count := r.Count()
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

// clientOf returns the client of a token of the batch; the zero Client if it has none.
func (b Batch) clientOf(r Entry) Client {
	if r.Client == 0 {
		return Client{}
	}
	return b.Clients[r.Client-1]
}
