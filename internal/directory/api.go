// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package directory

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/client-go/rest"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/internal/apiclock"
	"github.com/hallpass-dev/hallpass/internal/directory/memory"
	"github.com/hallpass-dev/hallpass/internal/directory/watch"
	"github.com/hallpass-dev/hallpass/internal/keyring"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
	"github.com/hallpass-dev/hallpass/internal/registration"
)

// api makes single requests of the API server.
type api struct {
	namespace string
	core      rest.Interface
	hallpass  rest.Interface
	reviews   rest.Interface
	// revocations creates TokenRevocations.
	revocations creator
	contact     *contact
}

func connect(config *rest.Config, namespace string, clock *apiclock.Clock) (api, error) {
	scheme := runtime.NewScheme()
	if err := errors.Join(corev1.AddToScheme(scheme), v1alpha1.AddToScheme(scheme), authenticationv1.AddToScheme(scheme)); err != nil {
		return api{}, fmt.Errorf("register kinds: %w", err)
	}
	codecs := serializer.NewCodecFactory(scheme).WithoutConversion()
	contact, noted := &contact{}, rest.CopyConfig(config)
	noted.Wrap(func(transport http.RoundTripper) http.RoundTripper { return notes{transport, contact} })
	if clock != nil {
		noted.Wrap(clock.Transport)
	}
	binary := rest.CopyConfig(noted)
	binary.ContentType = runtime.ContentTypeProtobuf
	// the keys of service accounts have a type of their own
	binary.AcceptContentTypes = runtime.ContentTypeProtobuf + "," + runtime.ContentTypeJSON + ",*/*"
	core, coreErr := client(binary, codecs, "/api", corev1.SchemeGroupVersion)
	hallpass, hallpassErr := client(noted, customCodecs{codecs}, "/apis", v1alpha1.GroupVersion)
	reviews, reviewsErr := client(noted, codecs, "/apis", authenticationv1.SchemeGroupVersion)
	if err := errors.Join(coreErr, hallpassErr, reviewsErr); err != nil {
		return api{}, fmt.Errorf("connect to the API server: %w", err)
	}
	return api{namespace, core, hallpass, reviews, newCreator(hallpass, namespace, resourceRevocations), contact}, nil
}

func client(config *rest.Config, codecs runtime.NegotiatedSerializer, path string, version schema.GroupVersion) (*rest.RESTClient, error) {
	config = rest.CopyConfig(config)
	config.APIPath, config.GroupVersion, config.NegotiatedSerializer = path, &version, codecs
	// live look-ups have a budget of their own, before they come here
	config.QPS = -1
	return rest.RESTClientFor(config) //nolint:wrapcheck // the caller knows what it is for
}

// unreadableRetry is when a caller whose record cannot be read should come again: it is written
// anew, or this replica is replaced by one of the version that wrote it.
const unreadableRetry = 10 * time.Second

// record reads a Secret of the registry. A missing one gives a record without a value. One that is
// unreadable is no absence, because a newer version may have written it: the error refuses the
// request as one that cannot be answered now.
func (a api) record(ctx context.Context, name string) (record memory.Record, version uint64, err error) {
	var secret corev1.Secret
	err = a.core.Get().Namespace(a.namespace).Resource(resourceSecrets).Name(name).Do(ctx).Into(&secret)
	if apierrors.IsNotFound(err) {
		return memory.Record{}, 0, nil
	}
	if err != nil {
		return memory.Record{}, 0, err //nolint:wrapcheck // the caller knows what it is about
	}
	if record, err = recordOf(&secret); err != nil {
		return memory.Record{}, 0, fmt.Errorf("%w: %w", oauth2.Unavailable(unreadableRetry), err)
	}
	return record, watch.VersionOf(&secret), nil
}

// get reads a custom resource. It returns false if there is none.
func (a api) get(ctx context.Context, resource, namespace, name string, into runtime.Object) (found bool, err error) {
	err = a.hallpass.Get().Namespace(namespace).Resource(resource).Name(name).Do(ctx).Into(into)
	if apierrors.IsNotFound(err) {
		return false, nil
	}
	return err == nil, err //nolint:wrapcheck // the caller knows what it is about
}

// presenceTimeout bounds a probe of the API server.
const presenceTimeout = time.Second

// present probes the API server with a small request; not found is a response.
func (a api) present(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, presenceTimeout)
	defer cancel()
	_, _, err := a.record(ctx, registration.KeysSecretName)
	if errors.Is(err, keyring.ErrUnreadable) {
		return nil // it has answered
	}
	return err
}
