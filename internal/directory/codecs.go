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

// The serializers of Kubernetes read the JSON of an event of a watch six times: twice for its end,
// and for the kind of the event, its members, the kind of the object and its fields. Each login
// writes an object and deletes it, and every replica is sent both events, so that this is most of
// what an event costs. customCodecs validates what has the form in which the API server writes it,
// and reads it once, with the same result. All else is left to the serializers.

// customCodecs are the serializers of custom resources.
type customCodecs struct{ runtime.NegotiatedSerializer }

// SupportedMediaTypes implements runtime.NegotiatedSerializer.
func (c customCodecs) SupportedMediaTypes() []runtime.SerializerInfo {
	all := c.NegotiatedSerializer.SupportedMediaTypes()
	supported := make([]runtime.SerializerInfo, len(all))
	for i, info := range all {
		if info.MediaType == runtime.ContentTypeJSON && info.StreamSerializer != nil {
			stream := *info.StreamSerializer
			stream.Serializer, stream.Framer = eventSerializer{stream.Serializer}, eventFramer{stream.Framer}
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

// readRedemption reads of a TokenRevocation with a redemption what the token server uses. Of the
// other metadata it checks that the serializers would read them, and leaves them out. It returns
// nil for any other object, and for one that has anything which API servers do not write.
func readRedemption(data []byte) *v1alpha1.TokenRevocation {
	if !bytes.Contains(data, []byte(`"redemption":{`)) {
		return nil
	}
	var r redemption
	read := eachMember(data, r.member)
	at, err := time.Parse(time.RFC3339, r.expiresAt)
	if read != len(data) || err != nil {
		return nil
	}
	r.object.Spec.Redemption.ExpiresAt = new(metav1.NewTime(at.Local())) //nolint:gosmopolitan // as metav1.Time reads it
	return &r.object
}

// redemption is a TokenRevocation with a redemption, as far as it is read. Its methods read one
// member each from the beginning of a text, and return how long the value is. They return 0 for a
// member that is not known or there twice.
type redemption struct {
	object    v1alpha1.TokenRevocation
	heads     int
	expiresAt string
}

func (r *redemption) member(name, rest []byte) int {
	switch string(name) {
	case "apiVersion", "kind": // they were compared, unless they are there twice
		if r.heads++; r.heads <= 2 {
			return valueEnd(rest)
		}
	case "metadata":
		if r.object.Name == "" {
			return eachMember(rest, r.metadata)
		}
	case "spec":
		if r.object.Spec.Version == 0 {
			return eachMember(rest, r.spec)
		}
	}
	return 0
}

func (r *redemption) metadata(name, rest []byte) int {
	switch string(name) {
	case "name":
		return setText(&r.object.Name, rest)
	case "namespace":
		return setText(&r.object.Namespace, rest)
	case "resourceVersion":
		return setText(&r.object.ResourceVersion, rest)
	case "uid":
		return textEnd(rest)
	case "creationTimestamp":
		return timeEnd(rest)
	case "generation":
		return numberEnd(rest)
	case "labels":
		return eachMember(rest, label)
	case "managedFields":
		return eachElement(rest, managedFields)
	}
	return 0
}

// The functions below check one value each at the beginning of a text, and return its length, or 0
// for one that is of another type or unusual.

func label(_, rest []byte) int { return textEnd(rest) }

func managedFields(rest []byte) int { return eachMember(rest, managedField) }

func managedField(name, rest []byte) int {
	switch string(name) {
	case "manager", "operation", "apiVersion", "fieldsType":
		return textEnd(rest)
	case "time":
		return timeEnd(rest)
	case "fieldsV1": // is stored as it is
		return valueEnd(rest)
	}
	return 0
}

func textEnd(text []byte) int {
	if len(text) < 2 || text[0] != '"' {
		return 0
	}
	return valueEnd(text)
}

func timeEnd(text []byte) int {
	end := textEnd(text)
	if end == 0 {
		return 0
	}
	// an escape is no part of a time
	if _, err := time.Parse(time.RFC3339, string(text[1:end-1])); err != nil {
		return 0
	}
	return end
}

func numberEnd(text []byte) int {
	end := valueEnd(text)
	if _, err := strconv.ParseInt(string(text[:end]), 10, 64); err != nil {
		return 0
	}
	return end
}

func (r *redemption) spec(name, rest []byte) int {
	switch string(name) {
	case "version":
		return setNumber(&r.object.Spec.Version, rest)
	case "minReader":
		return setNumber(&r.object.Spec.MinReader, rest)
	case "redemption":
		return eachMember(rest, r.redeemed)
	}
	return 0
}

func (r *redemption) redeemed(name, rest []byte) int {
	to := &r.object.Spec.Redemption
	switch string(name) {
	case "clientID":
		return setText(&to.ClientID, rest)
	case "namespace":
		return setText(&to.Namespace, rest)
	case "grantID":
		return setText(&to.GrantID, rest)
	case "attempt":
		return setText(&to.Attempt, rest)
	case "expiresAt":
		return setText(&r.expiresAt, rest)
	}
	return 0
}

// setText sets a text that was not set before to the string at the beginning of rest, and returns
// its length. The result is 0 if there is none, or it has escapes or letters beyond ASCII.
func setText(to *string, rest []byte) int {
	if *to != "" || len(rest) == 0 || rest[0] != '"' {
		return 0
	}
	for i, c := range rest[1:] {
		switch {
		case c == '"':
			*to = string(rest[1 : i+1])
			return i + 2
		case c == '\\' || c < ' ' || c > '~':
			return 0
		}
	}
	return 0
}

// setNumber sets a number that was not set before to that at the beginning of rest, and returns its
// length, or 0.
func setNumber(to *int32, rest []byte) int {
	end := valueEnd(rest)
	n, err := strconv.ParseInt(string(rest[:end]), 10, 32)
	if err != nil || *to != 0 {
		return 0
	}
	*to = int32(n)
	return end
}

// eachMember calls visit for each member of the object at the beginning of a text, which is valid
// JSON without white space: with the name and the text from the value on. visit returns the length
// of the value, so that nothing is read twice. eachMember returns the length of the object, or 0 if
// visit returned 0 or the text begins with something else.
func eachMember(text []byte, visit func(name, rest []byte) int) int {
	if len(text) == 0 || text[0] != '{' {
		return 0
	}
	for i := 1; ; i++ {
		end := i + valueEnd(text[i:])
		if end >= len(text) || text[i] != '"' || text[end] != ':' {
			return 0
		}
		length := visit(text[i+1:end-1], text[end+1:])
		if i = end + 1 + length; length == 0 || i >= len(text) {
			return 0
		}
		switch text[i] {
		case '}':
			return i + 1
		case ',':
		default:
			return 0
		}
	}
}

// eachElement is eachMember of an array.
func eachElement(text []byte, visit func(rest []byte) int) int {
	if len(text) == 0 || text[0] != '[' {
		return 0
	}
	for i := 1; i < len(text); i++ {
		length := visit(text[i:])
		if i += length; length == 0 || i >= len(text) {
			return 0
		}
		switch text[i] {
		case ']':
			return i + 1
		case ',':
		default:
			return 0
		}
	}
	return 0
}

// valueEnd is the length of the value at the beginning of valid JSON without white space.
func valueEnd(text []byte) int {
	depth := 0
	for i := 0; i < len(text); i++ {
		switch text[i] {
		case '"':
			if i += stringEnd(text[i:]) - 1; depth == 0 {
				return i + 1
			}
		case '{', '[':
			depth++
		case ',', ':':
			if depth == 0 {
				return i
			}
		case '}', ']':
			if depth == 0 {
				return i
			}
			if depth--; depth == 0 {
				return i + 1
			}
		}
	}
	return len(text)
}

// stringEnd is the length of the string at the beginning. Most of an object are strings, in which
// IndexByte finds the end faster than a loop does.
func stringEnd(text []byte) int {
	for i := 1; i < len(text); i++ {
		to := bytes.IndexByte(text[i:], '"')
		if to < 0 {
			break
		}
		escaped := bytes.IndexByte(text[i:i+to], '\\')
		if escaped < 0 {
			return i + to + 1
		}
		i += escaped + 1 // and the loop skips what is escaped
	}
	return len(text)
}
