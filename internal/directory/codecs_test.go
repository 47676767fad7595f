// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package directory

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	kubejson "k8s.io/apimachinery/pkg/runtime/serializer/json"
	"k8s.io/apimachinery/pkg/runtime/serializer/streaming"
	"k8s.io/apimachinery/pkg/watch"
	restwatch "k8s.io/client-go/rest/watch"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/internal/revocation"
)

// occurrence is what a watch brings.
type occurrence struct {
	kind   watch.EventType
	object runtime.Object
}

// readWith reads the events of a stream with serializers, until one cannot be read.
func readWith(t testing.TB, codecs runtime.NegotiatedSerializer, stream []byte) (read []occurrence, err error) {
	t.Helper()
	objects, events, framer, err := runtime.NewClientNegotiator(codecs, v1alpha1.GroupVersion).StreamDecoder(runtime.ContentTypeJSON, nil)
	if err != nil {
		t.Fatal(err)
	}
	decoder := restwatch.NewDecoder(streaming.NewDecoder(framer.NewFrameReader(io.NopCloser(bytes.NewReader(stream))), events), objects)
	for {
		kind, object, err := decoder.Decode()
		if err != nil {
			return read, err
		}
		read = append(read, occurrence{kind, object})
	}
}

// bothWays reads a stream with the serializers of client-go, and as the token server does. The
// results have to be the same.
func bothWays(t testing.TB, stream []byte) []occurrence {
	t.Helper()
	scheme := runtime.NewScheme()
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	codecs := serializer.NewCodecFactory(scheme).WithoutConversion()
	want, wantErr := readWith(t, codecs, stream)
	got, gotErr := readWith(t, customCodecs{codecs}, stream)
	if (gotErr == nil) != (wantErr == nil) || errors.Is(gotErr, io.EOF) != errors.Is(wantErr, io.EOF) {
		t.Errorf("%s is read with %v, want %v", stream, gotErr, wantErr)
	}
	if diff := cmp.Diff(whatIsUsed(want), whatIsUsed(got), cmp.AllowUnexported(occurrence{})); diff != "" {
		t.Errorf("%s (-want +got):\n%s", stream, diff)
	}
	return got
}

// whatIsUsed leaves out what is not used of redemptions.
func whatIsUsed(read []occurrence) []occurrence {
	for i := range read {
		object, ok := read[i].object.(*v1alpha1.TokenRevocation)
		if !ok || object.Spec.Redemption.ExpiresAt == nil {
			continue
		}
		of := metav1.ObjectMeta{Name: object.Name, Namespace: object.Namespace, ResourceVersion: object.ResourceVersion}
		read[i].object = &v1alpha1.TokenRevocation{ObjectMeta: of, Spec: object.Spec}
	}
	return read
}

// redeemedEvent is an event about a redemption, as API servers write it.
const redeemedEvent = `{"type":"ADDED","object":{"apiVersion":"hallpass.dev/v1alpha1","kind":"TokenRevocation","metadata":{"creationTimestamp":"2026-11-30T12:00:00Z",` +
	`"generation":1,"labels":{"app.kubernetes.io/managed-by":"hallpass","hallpass.dev/revocation-batch":"redeemed-a"},"managedFields":[{"apiVersion":"hallpass.dev/v1alpha1",` +
	`"fieldsType":"FieldsV1","fieldsV1":{"f:spec":{".":{},"f:redemption":{".":{},"f:attempt":{}}}},"manager":"tokenserver","operation":"Update","time":"2026-11-30T12:00:00Z"}],` +
	`"name":"redeemed-a","namespace":"hallpass-registry","resourceVersion":"4711","uid":"4c7b9b4e-3c0f-4a1e-9d8b-0d8f6a3b2c11"},"spec":{"minReader":1,` +
	`"redemption":{"attempt":"A","clientID":"shop.web","expiresAt":"2026-11-30T12:01:00Z","grantID":"g","namespace":"shop"},"version":2}}}`

func TestEventsAreReadAsClientGoReadsThem(t *testing.T) {
	for name, c := range map[string]struct {
		stream string
		events int
	}{
		"a redemption":            {redeemedEvent, 1},
		"several":                 {redeemedEvent + "\n" + strings.Replace(redeemedEvent, "ADDED", "DELETED", 1) + redeemedEvent, 3},
		"kind first":              {strings.Replace(redeemedEvent, `"apiVersion":"hallpass.dev/v1alpha1","kind":"TokenRevocation"`, `"kind":"TokenRevocation","apiVersion":"hallpass.dev/v1alpha1"`, 1), 1},
		"a redemption twice":      {strings.Replace(redeemedEvent, `"version":2`, `"redemption":{"attempt":"B","namespace":"b"},"version":2`, 1), 1},
		"a kind twice":            {strings.Replace(redeemedEvent, `"spec":{`, `"kind":"TokenRevocation","spec":{`, 1), 1},
		"an apiVersion twice":     {strings.Replace(redeemedEvent, `"spec":{`, `"apiVersion":"hallpass.dev/v1alpha1","spec":{`, 1), 1},
		"a redemption of null":    {strings.Replace(redeemedEvent, `"attempt":"A"`, `"attempt":null`, 1), 1},
		"a selector beside":       {strings.Replace(redeemedEvent, `"version":2`, `"selector":{"namespace":"a","issuedBefore":"2026-11-30T12:00:00Z"}`, 1), 1},
		"a status":                {strings.Replace(redeemedEvent, `"version":2}}`, `"version":2},"status":{"conditions":[]}}`, 1), 1},
		"escapes and braces":      {strings.Replace(redeemedEvent, `"grantID":"g"`, `"grantID":"g}{\\\"["`, 1), 1},
		"letters beyond ASCII":    {strings.Replace(redeemedEvent, `"shop.web"`, `"é\u00e9\\n"`, 1), 1},
		"a time that is none":     {strings.Replace(redeemedEvent, `2026-11-30T12:01:00Z`, `yesterday`, 1), 0},
		"a version too large":     {strings.Replace(redeemedEvent, `"version":2`, `"version":3000000000`, 1), 0},
		"a fraction":              {strings.Replace(redeemedEvent, `"version":2`, `"version":2.5`, 1), 0},
		"another order":           {`{"object":{"kind":"TokenRevocation","metadata":{"name":"a"},"apiVersion":"hallpass.dev/v1alpha1"},"type":"MODIFIED"}`, 1},
		"spaces":                  {`{ "type": "ADDED", "object": {"kind":"TokenRevocation","apiVersion":"hallpass.dev/v1alpha1"} }`, 1},
		"a further member":        {strings.TrimSuffix(redeemedEvent, "}") + `,"later":{"a":1}}`, 1},
		"a member twice":          {strings.TrimSuffix(redeemedEvent, "}") + `,"object":{"kind":"Status","apiVersion":"v1","code":410}}`, 1},
		"another case":            {strings.Replace(redeemedEvent, `"spec"`, `"Spec"`, 1), 1},
		"another kind":            {`{"type":"ADDED","object":{"apiVersion":"hallpass.dev/v1alpha1","kind":"OAuth2Client","metadata":{"name":"a"}}}`, 1},
		"a bookmark":              {`{"type":"BOOKMARK","object":{"kind":"TokenRevocation","apiVersion":"hallpass.dev/v1alpha1","metadata":{"resourceVersion":"7","creationTimestamp":null}}}`, 1},
		"an error":                {`{"type":"ERROR","object":{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","reason":"Expired","code":410}}`, 1},
		"a type with an escape":   {strings.Replace(redeemedEvent, "ADDED", `\u0041DDED`, 1), 1},
		"a type that is unknown":  {strings.Replace(redeemedEvent, "ADDED", "REMOVED", 1), 0},
		"a number for a text":     {strings.Replace(redeemedEvent, `"shop.web"`, "7", 1), 0},
		"an object that is none":  {`{"type":"ADDED","object":[{}]}`, 0},
		"an event that is cut":    {redeemedEvent[:400], 0},
		"no valid JSON":           {strings.Replace(redeemedEvent, `"generation":1`, `"generation":01`, 1), 0},
		"metadata of any kind":    {strings.Replace(redeemedEvent, `"generation":1`, `"generation":1,"annotations":{"a":"b"},"finalizers":["f"],"deletionTimestamp":"2026-11-30T12:00:00Z"`, 1), 1},
		"managed fields of many":  {strings.Replace(redeemedEvent, `"managedFields":[`, `"managedFields":[{"manager":"m","fieldsV1":null,"time":null},{"subresource":"status"},null,{},`, 1), 1},
		"a name with an escape":   {strings.Replace(redeemedEvent, `"uid"`, `"n\u0061me":"b","uid"`, 1), 1},
		"a creation that is none": {strings.Replace(redeemedEvent, `"creationTimestamp":"2026-11-30T12:00:00Z"`, `"creationTimestamp":"noon"`, 1), 0},
		"a creation of a number":  {strings.Replace(redeemedEvent, `"creationTimestamp":"2026-11-30T12:00:00Z"`, `"creationTimestamp":7`, 1), 0},
		"a creation with escapes": {strings.Replace(redeemedEvent, `"creationTimestamp":"2026`, `"creationTimestamp":"\u0032026`, 1), 1},
		"a generation of a text":  {strings.Replace(redeemedEvent, `"generation":1`, `"generation":"1"`, 1), 0},
		"a generation too large":  {strings.Replace(redeemedEvent, `"generation":1`, `"generation":9223372036854775808`, 1), 0},
		"a uid of a number":       {strings.Replace(redeemedEvent, `"uid":"4c7b9b4e-3c0f-4a1e-9d8b-0d8f6a3b2c11"`, `"uid":4`, 1), 0},
		"a label of a number":     {strings.Replace(redeemedEvent, `"app.kubernetes.io/managed-by":"hallpass"`, `"app.kubernetes.io/managed-by":7`, 1), 0},
		"labels that are a list":  {strings.Replace(redeemedEvent, `"labels":{`, `"labels":[],"l":{`, 1), 0},
		"a manager of a number":   {strings.Replace(redeemedEvent, `"manager":"tokenserver"`, `"manager":7`, 1), 0},
		"a write at no time":      {strings.Replace(redeemedEvent, `"time":"2026-11-30T12:00:00Z"`, `"time":"noon"`, 1), 0},
		"managed fields of texts": {strings.Replace(redeemedEvent, `"managedFields":[`, `"managedFields":["",`, 1), 0},
		"finalizers of numbers":   {strings.Replace(redeemedEvent, `"generation":1`, `"finalizers":[7]`, 1), 0},
		"a value on two lines":    {strings.Replace(redeemedEvent, `,"spec"`, "\n,\n\"spec\"", 1), 1},
		"an event of 64 KiB":      {strings.Replace(redeemedEvent, `"manager":"`, `"manager":"`+strings.Repeat("m", 64<<10), 1), 1},
	} {
		t.Run(name, func(t *testing.T) {
			for _, stream := range []string{c.stream, c.stream + "\n", redeemedEvent + "\n" + c.stream + "\n" + redeemedEvent + "\n"} {
				want := c.events
				if strings.HasPrefix(stream, redeemedEvent+"\n"+c.stream) {
					want++
					if c.events > 0 { // and what comes after it can be read
						want++
					}
				}
				if got := bothWays(t, []byte(stream)); len(got) != want {
					t.Errorf("%d events of %q, want %d", len(got), stream, want)
				}
			}
		})
	}
}

func FuzzEvents(f *testing.F) {
	f.Add([]byte(redeemedEvent))
	f.Add([]byte(redeemedEvent + "\n" + redeemedEvent + "\n{}\n"))
	f.Add([]byte(strings.Replace(redeemedEvent, `"creationTimestamp":"2026`, `"creationTimestamp":"0`, 1)))
	f.Add([]byte(`{"type":"ADDED","object":{"kind":"TokenRevocation","apiVersion":"hallpass.dev/v1alpha1","spec":{"batch":{"tokens":"AAAA"}}}}`))
	f.Add([]byte(`{"type":"BOOKMARK","object":{"kind":"OAuth2Client","apiVersion":"hallpass.dev/v1alpha1"}}{"type":""`))
	f.Fuzz(func(t *testing.T, stream []byte) {
		bothWays(t, stream)
		if end := plainEnd(stream, plainDepth); end > 0 && !json.Valid(stream[:end]) {
			t.Errorf("%q is plain and no JSON", stream[:end])
		}
	})
}

func TestPlainValuesAreJSON(t *testing.T) {
	_, object, _ := splitEvent([]byte(redeemedEvent))
	for text, plain := range map[string]bool{
		redeemedEvent: true, string(object): true, `{}`: true, `[]`: true, `[{},[],"",0,10,true,false,null]`: true, "{\"é\":\"\x7f\"}": true,
		"": false, "{": false, "[": false, `{"a"}`: false, `{"a":}`: false, `{a:1}`: false, `{"a":1,}`: false, `{,}`: false, `[,]`: false,
		`[1 ]`: false, `[01]`: false, `[-1]`: false, `[1.5]`: false, `[1e3]`: false, `[nul]`: false, `[True]`: false, `["a]`: false, `[1}`: false,
		`{"a":1]`: false, `{"a":1 "b":2}`: false, `["\n"]`: false, `["\u0041"]`: false, "[\"\n\"]": false, "[\"\x00\"]": false, `[1,2`: false,
		strings.Repeat("[", plainDepth) + strings.Repeat("]", plainDepth): true, strings.Repeat("[", 1<<20): false,
		strings.Repeat("[", plainDepth+1) + strings.Repeat("]", plainDepth+1): false,
	} {
		if end := plainEnd([]byte(text), plainDepth); (end == len(text) && end > 0) != plain || end != 0 && end != len(text) {
			t.Errorf("%.40q: %d of %d are plain, want %t", text, end, len(text), plain)
		}
		if plain && !json.Valid([]byte(text)) {
			t.Errorf("%.40q is no JSON", text)
		}
	}
}

// TestARedemptionIsReadAtOnce: the form that API servers write takes the short way, or the test
// above compares nothing.
func TestARedemptionIsReadAtOnce(t *testing.T) {
	_, object, found := splitEvent([]byte(redeemedEvent))
	if read := readRedemption(object); !found || read == nil || read.ResourceVersion != "4711" || read.Spec.Redemption.GrantID != "g" {
		t.Errorf("%t, %+v", found, read)
	}
	// in whatever parts it arrives, without the reader of client-go
	events := eventFramer{}.NewFrameReader(io.NopCloser(iotest.OneByteReader(strings.NewReader(redeemedEvent + "\n" + redeemedEvent + redeemedEvent + "\n"))))
	for range 3 {
		event := make([]byte, 2*len(redeemedEvent))
		n, err := events.Read(event)
		if string(event[:n]) != redeemedEvent || err != nil {
			t.Errorf("%s, %v", event[:n], err)
		}
	}
	head, metadata, _ := strings.Cut(string(object), `"metadata":`)
	metadata, spec, _ := strings.Cut(metadata, `,"spec":`)
	last := head + `"spec":` + strings.TrimSuffix(spec, "}") + `,"metadata":` + metadata + "}"
	for _, text := range []string{string(object), last} {
		if readRedemption([]byte(text)) == nil {
			t.Errorf("%s is not read", text)
		}
		for cut := range text {
			if read := readRedemption([]byte(text[:cut])); read != nil {
				t.Errorf("%s is read: %+v", text[:cut], read)
			}
		}
	}
}

// TestARedemptionIsWrittenAsItsKind: the bytes are those of the object.
func TestARedemptionIsWrittenAsItsKind(t *testing.T) {
	r := revocation.Redemption{
		CodeID: "c", GrantID: "g", Attempt: "A", Client: revocation.Client{ID: `https://a.example/"é`, Namespace: "shop"},
		ExpiresAt: time.Date(2026, 11, 30, 13, 1, 0, 7, time.FixedZone("", 3600)),
	}
	want := v1alpha1.NewRedemption("registry", r.Name(), v1alpha1.CodeRedemption{
		ClientID: r.Client.ID, Namespace: "shop", GrantID: "g", Attempt: "A", ExpiresAt: new(metav1.NewTime(r.ExpiresAt)),
	}, v1alpha1.RecordForm{Version: revocation.Version, MinReader: revocation.OldestReader})
	want.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind("TokenRevocation"))
	document, err := json.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	var wanted, got map[string]any
	if err := errors.Join(json.Unmarshal(document, &wanted), json.Unmarshal(bodyOf("registry", r.Name(), r), &got)); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(wanted, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestAnEventIsReadBeforeMoreArrives: an API server is silent after an event until the next one,
// and need not end its line.
func TestAnEventIsReadBeforeMoreArrives(t *testing.T) {
	from, to := io.Pipe()
	defer func() { _ = to.Close() }()
	events := eventFramer{}.NewFrameReader(from)
	for range 2 {
		go func() { _, _ = to.Write([]byte(redeemedEvent)) }()
		event := make([]byte, 2*len(redeemedEvent))
		if n, err := events.Read(event); string(event[:n]) != redeemedEvent || err != nil {
			t.Errorf("%s, %v", event[:n], err)
		}
	}
	events = eventFramer{kubejson.Framer}.NewFrameReader(from)
	go func() { _, _ = to.Write([]byte(`{"type":"ADDED` + "\n")) }()
	if n, err := events.Read(make([]byte, 64)); err == nil {
		t.Errorf("%d bytes of a text without an end are an event", n)
	}
}

func BenchmarkReadARedemption(b *testing.B) {
	scheme := runtime.NewScheme()
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		b.Fatal(err)
	}
	plain := serializer.NewCodecFactory(scheme).WithoutConversion()
	for name, codecs := range map[string]runtime.NegotiatedSerializer{"client-go": plain, "here": customCodecs{plain}} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			stream := []byte(strings.Repeat(redeemedEvent+"\n", b.N))
			b.ResetTimer()
			if read, _ := readWith(b, codecs, stream); len(read) != b.N {
				b.Fatalf("%d events of %d", len(read), b.N)
			}
		})
	}
}

func BenchmarkWriteARedemption(b *testing.B) {
	r := revocation.Redemption{
		CodeID: "c", GrantID: strings.Repeat("g", 22), Attempt: strings.Repeat("a", 26),
		Client: revocation.Client{ID: "team-0.portal-0", Namespace: "team-0"}, ExpiresAt: time.Date(2026, 11, 30, 13, 1, 0, 0, time.UTC),
	}
	name := r.Name()
	b.ReportAllocs()
	for b.Loop() {
		_ = bodyOf("hallpass-registry", name, r)
	}
}
