// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package auth

import (
	"context"
	"time"

	"golang.org/x/sync/singleflight"
)

// flight shares one question, and its answer, between the requests that ask it at the same time.
type flight[T any] struct{ group singleflight.Group }

// ask asks within a time limit. The question is shared, so a caller that hangs up does not end it.
func (f *flight[T]) ask(ctx context.Context, key string, limit time.Duration, question func(context.Context) (T, error)) (T, error) {
	found, err, _ := f.group.Do(key, func() (any, error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), limit)
		defer cancel()
		return question(ctx)
	})
	answer, _ := found.(T)
	return answer, err
}
