// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

// Package publish writes the records of the registry that token servers decide by: registrations,
// the records of resources and those of minted tokens. A record is a Secret that is written on the
// version on which it was decided, so that of two managers one gets a conflict. Signing keys are
// the exception: package signingkeys merges what it finds and never deletes a key.
package publish

import (
	"bytes"
	"context"
	"fmt"
	"maps"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/internal/controller/output"
	"github.com/hallpass-dev/hallpass/internal/registration"
)

// Record is a record as it should be stored.
type Record struct {
	types.NamespacedName

	// Of names the owner of the record, for errors.
	Of string
	// Type is the type of the Secret, and Annotations name its owner.
	Type        corev1.SecretType
	Annotations map[string]string
	Data        map[string][]byte
	// Room bounds the records of a namespace; nil for no bound. A Forced record is written
	// anyway, because it only takes rights away.
	Room   *Room
	Forced bool
}

// Read reads the Secret of a record; nil if there is none.
func Read(ctx context.Context, from client.Reader, key types.NamespacedName) (*corev1.Secret, error) {
	var stored corev1.Secret
	err := from.Get(ctx, key, &stored)
	if apierrors.IsNotFound(err) {
		return nil, nil //nolint:nilnil // an absence is an answer
	}
	if err != nil {
		return nil, fmt.Errorf("read record %s: %w", key.Name, err)
	}
	return &stored, nil
}

// Write stores a record unless stored, which was read before and may be nil, is the same already.
// It returns the Secret that is stored by now, also with an error. The error wraps
// output.ErrAltered if the API server stored other data than it was sent, and wire.ErrNewer if a
// newer version wrote what is stored and it differs: its fields that this version does not know
// would be lost. It is ErrNoRoom if the namespace of the owner has no room for the record.
func Write(ctx context.Context, c client.Client, stored *corev1.Secret, record Record) (*corev1.Secret, error) {
	wanted := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: record.Namespace, Name: record.Name, Annotations: record.Annotations,
			Labels: map[string]string{v1alpha1.LabelManagedBy: v1alpha1.ManagedBy},
		},
		Type: record.Type,
		Data: maps.Clone(record.Data),
	}
	if stored != nil && stored.Type == wanted.Type && output.SameMeta(stored, wanted) && maps.EqualFunc(stored.Data, wanted.Data, bytes.Equal) {
		return stored, nil
	}
	if stored != nil && stored.Type == wanted.Type {
		switch err := registration.CheckWrite(stored.Data); {
		case err == nil:
		case registration.Same(stored.Data, wanted.Data):
			return stored, nil
		default:
			return stored, fmt.Errorf("publish %s: %w", record.Of, err)
		}
	}
	namespace, weight := namespaceOf(record.Annotations), registration.Weigh(string(record.Type), record.Data)
	if !record.Room.take(record.Name, namespace, weight, record.Forced) {
		return stored, fmt.Errorf("publish %s: %w", record.Of, ErrNoRoom)
	}
	err := write(ctx, c, stored, wanted)
	record.Room.written(record.Name, namespace, weight, err)
	if err != nil {
		return stored, fmt.Errorf("publish %s: %w", record.Of, err)
	}
	if err := output.CheckStored(record.Data, wanted.Data, bytes.Equal); err != nil {
		return wanted, fmt.Errorf("publish %s: %w", record.Of, err)
	}
	return wanted, nil
}

// Delete deletes a record of an owner that is there and may have none. The error wraps
// wire.ErrNewer if a newer version wrote the record: it stays as it is, and keeps its lock.
func Delete(ctx context.Context, c client.Client, stored *corev1.Secret) error {
	if err := registration.CheckWrite(stored.Data); err != nil {
		return fmt.Errorf("delete %s: %w", stored.Name, err)
	}
	return output.Delete(ctx, c, stored)
}

func write(ctx context.Context, c client.Client, stored, wanted *corev1.Secret) error {
	if stored != nil && stored.Type == wanted.Type {
		output.KeepOthers(wanted, stored)
		return c.Update(ctx, wanted) //nolint:wrapcheck // Write wraps it
	}
	if stored != nil {
		// The type of a Secret cannot be changed. Only a user with rights on the registry
		// can have created it.
		if err := output.Delete(ctx, c, stored); err != nil {
			return err
		}
	}
	return c.Create(ctx, wanted) //nolint:wrapcheck // Write wraps it
}
