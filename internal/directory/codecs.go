// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package directory

import (
	"bytes"
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/json"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
)

// The serializers of Kubernetes read the JSON of an event of a watch four times: for the kind of
// the event, its members, the kind of the object and its fields. Each login writes an object and
// deletes it, and every replica is sent both events, so that this is most of what an event costs.
// customCodecs reads what has the form in which the API server writes it once, with the same
// result. All else is left to the serializers.

// customCodecs are the serializers of custom resources.
type customCodecs struct{ runtime.NegotiatedSerializer }

// SupportedMediaTypes implements runtime.NegotiatedSerializer.
func (c customCodecs) SupportedMediaTypes() []runtime.SerializerInfo {
	all := c.NegotiatedSerializer.SupportedMediaTypes()
	supported := make([]runtime.SerializerInfo, len(all))
	for i, info := range all {
		if info.MediaType == runtime.ContentTypeJSON && info.StreamSerializer != nil {
			stream := *info.StreamSerializer
			stream.Serializer = eventSerializer{stream.Serializer}
			info.Serializer, info.StreamSerializer = revocationSerializer{info.Serializer}, &stream
		}
		supported[i] = info
	}
	return supported
}

// eventSerializer reads the events of a watch.
type eventSerializer struct{ runtime.Serializer }

// Decode implements runtime.Decoder.
func (e eventSerializer) Decode(data []byte, defaults *schema.GroupVersionKind, into runtime.Object) (runtime.Object, *schema.GroupVersionKind, error) {
	if event, ok := into.(*metav1.WatchEvent); ok {
		if kind, object, found := splitEvent(data); found {
			event.Type, event.Object.Raw = kind, object
			return event, defaults, nil
		}
	}
	return e.Serializer.Decode(data, defaults, into) //nolint:wrapcheck // it replaces the serializer
}

// splitEvent returns the type and the object of an event, if these are its members in this order,
// and it has no other.
func splitEvent(data []byte) (kind string, object []byte, found bool) {
	rest, found := bytes.CutPrefix(data, []byte(`{"type":"`))
	name, rest, isText := bytes.Cut(rest, []byte(`","object":`))
	object, ends := bytes.CutSuffix(rest, []byte("}"))
	if !found || !isText || !ends || bytes.ContainsAny(name, `"\`) || !isWhole(object) {
		return "", nil, false
	}
	return string(name), object, true
}

// isWhole reports whether a part of JSON that begins with an object ends with it. The caller has
// read the JSON as a frame, so that it is valid.
func isWhole(object []byte) bool {
	depth, inText := 0, false
	for i := 0; i < len(object); i++ {
		switch c := object[i]; {
		case inText && c == '\\':
			i++
		case c == '"':
			inText = !inText
		case inText:
		case c == '{':
			depth++
		case c == '}':
			if depth--; depth == 0 {
				return i == len(object)-1
			}
		case depth == 0:
			return false
		}
	}
	return false
}

// revocationSerializer reads TokenRevocations.
type revocationSerializer struct{ runtime.Serializer }

// The beginnings of a TokenRevocation, as the API server writes custom resources and as Go does.
var beginnings = [][]byte{ //nolint:gochecknoglobals // a constant list
	fmt.Appendf(nil, `{"apiVersion":%q,"kind":"TokenRevocation",`, v1alpha1.GroupVersion),
	fmt.Appendf(nil, `{"kind":"TokenRevocation","apiVersion":%q,`, v1alpha1.GroupVersion),
}

// Decode implements runtime.Decoder.
func (r revocationSerializer) Decode(data []byte, defaults *schema.GroupVersionKind, into runtime.Object) (runtime.Object, *schema.GroupVersionKind, error) {
	for _, beginning := range beginnings {
		if into != nil || !bytes.HasPrefix(data, beginning) {
			continue
		}
		object := new(v1alpha1.TokenRevocation)
		if err := json.UnmarshalCaseSensitivePreserveInts(data, object); err != nil {
			return nil, nil, err //nolint:wrapcheck // it replaces the serializer
		}
		kind := v1alpha1.GroupVersion.WithKind("TokenRevocation")
		return object, &kind, nil
	}
	return r.Serializer.Decode(data, defaults, into) //nolint:wrapcheck // as above
}
