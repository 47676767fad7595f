// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package packed

import (
	"fmt"
	"reflect"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/internal/wire"
)

// The form of an object: of a struct the fields that are not zero, each after its number, and then
// a zero; of a string its length, or one of the marks below. Nothing names a field, so that the
// form is of use to the process alone that wrote it.
const (
	markUUID  = 0 // 16 bytes follow
	markKnown = 1 // the number of one of the known strings follows
	markShort = 2 // a length and a text follow in which phrases are abbreviated
	marks     = 3 // added to a length
)

// phrases are the parts that nearly every record of a client has. Each is abbreviated as a control
// character, of which JSON has none. Longer ones come before those that they begin with.
var phrases = [...]string{
	`{"version":1,"clientID":"`, `","owner":{"namespace":"`, `","name":"`, `","uid":"`, `"},"state":"active","verifiers":[{"id":"`, `"},"state":"active"`,
	`","sha256":"`, `","createdAt":"`, `"}],"scopes":["`, `"],"tokenLifetimeSeconds":3600}`, `"],"tokenLifetimeSeconds":`,
	`","expiresAt":"`, `"},{"id":"`, `","`, `":"`,
}

const (
	// shortens is the length from which a text is abbreviated.
	shortens = 128
	// controls is how many control characters there are.
	controls = 0x20
)

// abbreviate replaces phrases in a text, and expand puts them back.
var abbreviate, expand = func() (*strings.Replacer, *strings.Replacer) { //nolint:gochecknoglobals // constant tables
	var there, back []string
	for i, phrase := range phrases {
		there, back = append(there, phrase, string(rune(i+1))), append(back, string(rune(i+1)), phrase)
	}
	return strings.NewReplacer(there...), strings.NewReplacer(back...)
}()

// known are the strings that nearly every object has.
var known = [...]string{
	"v1", "hallpass.dev/v1alpha1", "OAuth2Client", "OAuth2Token", "hallpass.dev/oauth2-client", "hallpass.dev/oauth2-token",
	"app.kubernetes.io/managed-by", "hallpass", "hallpass.dev/client", "hallpass.dev/client-namespace", "hallpass.dev/client-id",
	"hallpass.dev/token", "hallpass.dev/token-namespace", "hallpass.dev/registration", "Ready", "GrantsComplete", "True", "Granted",
	"Registered", "client_id", "client_secret", "issuer_url", "token_url", "jwks_url", "introspection_url", "scope", "ca.crt",
	"client.json", "Namespace", "ServiceAccount", "kubernetes.io/metadata.name", "hallpass-registry",
	v1alpha1.Registered().Message, v1alpha1.GrantsComplete().Message,
}

var knownNumbers = func() map[string]byte { //nolint:gochecknoglobals // a constant table
	numbers := make(map[string]byte, len(known))
	for i, s := range known {
		numbers[s] = byte(i)
	}
	return numbers
}()

var timeType = reflect.TypeFor[metav1.Time]() //nolint:gochecknoglobals // a constant

// encode appends a value to the form.
func encode(w *wire.Writer, v reflect.Value) error {
	switch v.Kind() {
	case reflect.String:
		encodeText(w, v.String())
	case reflect.Bool:
		var bit byte
		if v.Bool() {
			bit = 1
		}
		w.Byte(bit)
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		w.Varint(v.Int())
	case reflect.Pointer:
		return encode(w, v.Elem())
	case reflect.Slice:
		if v.Type().Elem().Kind() == reflect.Uint8 {
			encodeText(w, string(v.Bytes()))
			return nil
		}
		w.Uvarint(uint64(v.Len())) //nolint:gosec // a length
		for i := range v.Len() {
			if err := encode(w, v.Index(i)); err != nil {
				return err
			}
		}
	case reflect.Map:
		w.Uvarint(uint64(v.Len())) //nolint:gosec // a length
		for entries := v.MapRange(); entries.Next(); {
			if err := encode(w, entries.Key()); err != nil {
				return err
			}
			if err := encode(w, entries.Value()); err != nil {
				return err
			}
		}
	case reflect.Struct:
		return encodeStruct(w, v)
	default:
		return fmt.Errorf("pack a %s: it has no form", v.Type())
	}
	return nil
}

func encodeStruct(w *wire.Writer, v reflect.Value) error {
	if v.Type() == timeType {
		at := v.Field(0).Interface().(time.Time) //nolint:forcetypeassert,errcheck // the one field of a metav1.Time
		w.Varint(at.Unix())
		w.Uvarint(uint64(at.Nanosecond())) //nolint:gosec // not negative
		return nil
	}
	for i := range v.NumField() {
		field := v.Field(i)
		if field.IsZero() {
			continue
		}
		w.Uvarint(uint64(i) + 1)
		if err := encode(w, field); err != nil {
			return err
		}
	}
	w.Uvarint(0)
	return nil
}

func encodeText(w *wire.Writer, s string) {
	if number, there := knownNumbers[s]; there {
		w.Uvarint(markKnown)
		w.Byte(number)
		return
	}
	if id, ok := wire.ParseUUID(s); ok {
		w.Uvarint(markUUID)
		w.Bytes = append(w.Bytes, id[:]...)
		return
	}
	if len(s) >= shortens && s[0] == '{' && !strings.ContainsFunc(s, func(c rune) bool { return c < controls }) {
		w.Uvarint(markShort)
		w.Text(abbreviate.Replace(s))
		return
	}
	w.Uvarint(uint64(len(s)) + marks)
	w.Raw(s)
}

// decode reads a value that encode appended. It is into v, which is zero. Strings are parts of the
// form.
func decode(r *wire.Reader, v reflect.Value) {
	switch v.Kind() {
	case reflect.String:
		v.SetString(decodeText(r))
	case reflect.Bool:
		v.SetBool(r.Byte() == 1)
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		v.SetInt(r.Varint())
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		decode(r, v.Elem())
	case reflect.Slice:
		decodeSlice(r, v)
	case reflect.Map:
		decodeMap(r, v)
	case reflect.Struct:
		decodeStruct(r, v)
	default:
		r.Fail()
	}
}

func decodeSlice(r *wire.Reader, v reflect.Value) {
	if v.Type().Elem().Kind() == reflect.Uint8 {
		v.SetBytes([]byte(decodeText(r)))
		return
	}
	n := length(r)
	v.Set(reflect.MakeSlice(v.Type(), n, n))
	for i := range n {
		decode(r, v.Index(i))
	}
}

// Most maps are of these types, and need no reflection.
var (
	textsType = reflect.TypeFor[map[string]string]() //nolint:gochecknoglobals // a constant
	dataType  = reflect.TypeFor[map[string][]byte]() //nolint:gochecknoglobals // a constant
)

func decodeMap(r *wire.Reader, v reflect.Value) {
	n := length(r)
	switch v.Type() {
	case textsType:
		texts := make(map[string]string, n)
		for range n {
			key := decodeText(r)
			texts[key] = decodeText(r)
		}
		v.Set(reflect.ValueOf(texts))
		return
	case dataType:
		data := make(map[string][]byte, n)
		for range n {
			key := decodeText(r)
			data[key] = []byte(decodeText(r))
		}
		v.Set(reflect.ValueOf(data))
		return
	}
	v.Set(reflect.MakeMapWithSize(v.Type(), n))
	for range n {
		key, value := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
		decode(r, key)
		decode(r, value)
		v.SetMapIndex(key, value)
	}
}

// length reads the length of a slice or a map, each entry of which takes a byte or more.
func length(r *wire.Reader) int {
	n := r.Uvarint()
	if n > uint64(r.Len()) { //nolint:gosec // a length
		r.Fail()
		return 0
	}
	return int(n) //nolint:gosec // just compared
}

func decodeStruct(r *wire.Reader, v reflect.Value) {
	if v.Type() == timeType {
		seconds, nanoseconds := r.Varint(), r.Uvarint()
		v.Field(0).Set(reflect.ValueOf(time.Unix(seconds, int64(nanoseconds)))) //nolint:gosec // below a second
		return
	}
	for {
		number := r.Uvarint()
		if number == 0 || number > uint64(v.NumField()) { //nolint:gosec // a count
			if number != 0 {
				r.Fail()
			}
			return
		}
		decode(r, v.Field(int(number)-1)) //nolint:gosec // just compared
	}
}

func decodeText(r *wire.Reader) string {
	switch mark := r.Uvarint(); mark {
	case markUUID:
		var id wire.UUID
		copy(id[:], r.Raw(len(id)))
		return id.String()
	case markKnown:
		if number := int(r.Byte()); number < len(known) {
			return known[number]
		}
		r.Fail()
		return ""
	case markShort:
		return expand.Replace(r.Text())
	default:
		return r.Raw(int(min(mark-marks, 1<<31)))
	}
}
