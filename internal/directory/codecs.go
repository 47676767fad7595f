// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package directory

import (
	"bytes"
	"fmt"
	"strconv"
	"time"

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
	if !found || !isText || !ends || bytes.ContainsAny(name, `"\`) || !bytes.HasPrefix(object, []byte("{")) || valueEnd(object) != len(object) {
		return "", nil, false
	}
	return string(name), object, true
}

// revocationSerializer reads TokenRevocations.
type revocationSerializer struct{ runtime.Serializer }

// beginnings of a TokenRevocation, as the API server writes custom resources and as Go does.
var beginnings = [][]byte{ //nolint:gochecknoglobals // a constant list
	fmt.Appendf(nil, `{"apiVersion":%q,"kind":"TokenRevocation",`, v1alpha1.GroupVersion),
	fmt.Appendf(nil, `{"kind":"TokenRevocation","apiVersion":%q,`, v1alpha1.GroupVersion),
}

// Decode implements runtime.Decoder. What is read of an event is valid JSON.
func (r revocationSerializer) Decode(data []byte, defaults *schema.GroupVersionKind, into runtime.Object) (runtime.Object, *schema.GroupVersionKind, error) {
	for _, beginning := range beginnings {
		if into != nil || !bytes.HasPrefix(data, beginning) {
			continue
		}
		object := readRedemption(data)
		if object == nil {
			object = new(v1alpha1.TokenRevocation)
			if err := json.UnmarshalCaseSensitivePreserveInts(data, object); err != nil {
				return nil, nil, err //nolint:wrapcheck // it replaces the serializer
			}
		}
		kind := v1alpha1.GroupVersion.WithKind("TokenRevocation")
		return object, &kind, nil
	}
	return r.Serializer.Decode(data, defaults, into) //nolint:wrapcheck // as above
}

// readRedemption reads of a TokenRevocation with a redemption what the token server uses: it leaves
// out most of the metadata. It returns nil for any other object, and for one that has anything
// which API servers do not write.
func readRedemption(data []byte) *v1alpha1.TokenRevocation {
	if !bytes.Contains(data, []byte(`"redemption":{`)) {
		return nil
	}
	var object v1alpha1.TokenRevocation
	var expiresAt string
	heads, spec := 0, &object.Spec
	metadata := texts{"name": &object.Name, "namespace": &object.Namespace, "resourceVersion": &object.ResourceVersion}
	redemption := texts{
		"clientID": &spec.Redemption.ClientID, "namespace": &spec.Redemption.Namespace, "grantID": &spec.Redemption.GrantID,
		"attempt": &spec.Redemption.Attempt, "expiresAt": &expiresAt,
	}
	known := eachMember(data, func(name, value []byte) bool {
		switch string(name) {
		case "apiVersion", "kind": // they were compared, unless they are there twice
			heads++
			return heads <= 2
		case "metadata":
			return object.Name == "" && eachMember(value, func(name, value []byte) bool { return metadata[string(name)] == nil || metadata.set(name, value) })
		case "spec":
			return spec.Version == 0 && eachMember(value, func(name, value []byte) bool {
				switch string(name) {
				case "version":
					return setNumber(&spec.Version, value)
				case "minReader":
					return setNumber(&spec.MinReader, value)
				case "redemption":
					return eachMember(value, redemption.set)
				}
				return false
			})
		}
		return false
	})
	at, err := time.Parse(time.RFC3339, expiresAt)
	if !known || err != nil {
		return nil
	}
	spec.Redemption.ExpiresAt = new(metav1.NewTime(at.Local())) //nolint:gosmopolitan // as metav1.Time reads it
	return &object
}

// texts are the members of an object that are strings.
type texts map[string]*string

// set sets a member that is there once, and is a string without escapes and of ASCII alone.
func (t texts) set(name, value []byte) bool {
	to := t[string(name)]
	if to == nil || *to != "" || len(value) < 2 || value[0] != '"' {
		return false
	}
	value = value[1 : len(value)-1]
	if bytes.ContainsFunc(value, func(r rune) bool { return r == '\\' || r < ' ' || r > '~' }) {
		return false
	}
	*to = string(value)
	return true
}

func setNumber(to *int32, value []byte) bool {
	n, err := strconv.ParseInt(string(value), 10, 32)
	set := err == nil && *to == 0
	*to = int32(n)
	return set
}

// eachMember calls visit for each member of an object until it returns false. The object is valid
// JSON without white space, or the result is false.
func eachMember(object []byte, visit func(name, value []byte) bool) bool {
	if len(object) < 2 || object[0] != '{' {
		return false
	}
	for i := 1; ; i++ {
		end := i + valueEnd(object[i:])
		if end >= len(object) || object[i] != '"' || object[end] != ':' {
			return false
		}
		name, from := object[i+1:end-1], end+1
		if i = from + valueEnd(object[from:]); i == from || i >= len(object) {
			return false
		}
		if !visit(name, object[from:i]) {
			return false
		}
		switch object[i] {
		case '}':
			return i == len(object)-1
		case ',':
		default:
			return false
		}
	}
}

// valueEnd is the length of the value at the beginning of valid JSON without white space.
func valueEnd(text []byte) int {
	depth, inText := 0, false
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case inText && c == '\\':
			i++
		case c == '"':
			if inText = !inText; !inText && depth == 0 {
				return i + 1
			}
		case inText:
		case c == '{', c == '[':
			depth++
		case depth == 0 && (c == ',' || c == '}' || c == ']' || c == ':'):
			return i
		case c == '}', c == ']':
			if depth--; depth == 0 {
				return i + 1
			}
		}
	}
	return len(text)
}
