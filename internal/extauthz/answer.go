// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package extauthz

import (
	"net/http"
	"slices"
	"strings"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	typev3 "github.com/envoyproxy/go-control-plane/envoy/type/v3"
	"google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/hallpass-dev/hallpass/internal/answer"
	"github.com/hallpass-dev/hallpass/internal/auth"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
)

// identityPrefix is what the names of all identity headers begin with, in lower case as Envoy has
// them.
const identityPrefix = "x-auth-"

// identityHeaders are their names, as Envoy has them.
var identityHeaders = func() (names [len(answer.IdentityHeaders)]string) { //nolint:gochecknoglobals // a constant list
	for i, name := range answer.IdentityHeaders {
		names[i] = strings.ToLower(name)
	}
	return names
}()

// allowed lets a request pass with the identity headers, and without any that an upstream could
// mistake for one.
func allowed(identity *answer.Identity, verdict auth.Verdict, request *authv3.AttributeContext_HttpRequest) *authv3.CheckResponse {
	// all in one piece of memory: each request that passes has them
	var options [len(identityHeaders)]struct {
		option corev3.HeaderValueOption
		header corev3.HeaderValue
	}
	set := make([]*corev3.HeaderValueOption, len(identityHeaders))
	for i, name := range identityHeaders {
		header, option := &options[i].header, &options[i].option
		header.Key, header.Value = name, identity[i]
		option.Header, option.AppendAction, option.KeepEmptyValue = header, corev3.HeaderValueOption_OVERWRITE_IF_EXISTS_OR_ADD, true
		set[i] = option
	}
	return &authv3.CheckResponse{
		Status: &status.Status{Code: int32(codes.OK)},
		HttpResponse: &authv3.CheckResponse_OkResponse{OkResponse: &authv3.OkHttpResponse{
			Headers: set, HeadersToRemove: lookalikes(request),
		}},
		DynamicMetadata: metadata(verdict),
	}
}

// refused is the answer that the caller gets through Envoy, which counts the length of the body for
// itself.
func refused(denied answer.Answer) *authv3.CheckResponse {
	code := codes.Unauthenticated
	switch denied.Status {
	case http.StatusForbidden:
		code = codes.PermissionDenied
	case http.StatusServiceUnavailable:
		code = codes.Unavailable
	case http.StatusInternalServerError:
		code = codes.Internal
	}
	set := make([]*corev3.HeaderValueOption, len(denied.Header))
	for i, header := range denied.Header {
		set[i] = option(strings.ToLower(header.Name), header.Value)
	}
	return &authv3.CheckResponse{
		Status: &status.Status{Code: int32(code)},
		HttpResponse: &authv3.CheckResponse_DeniedResponse{DeniedResponse: &authv3.DeniedHttpResponse{
			Status:  &typev3.HttpStatus{Code: typev3.StatusCode(denied.Status)}, //nolint:gosec // a status of HTTP
			Headers: set,
			Body:    string(denied.Body),
		}},
	}
}

// option sets a header in place of whatever has its name. An empty value is kept: it overwrites
// too.
func option(name, value string) *corev3.HeaderValueOption {
	return &corev3.HeaderValueOption{
		Header:         &corev3.HeaderValue{Key: name, Value: value},
		AppendAction:   corev3.HeaderValueOption_OVERWRITE_IF_EXISTS_OR_ADD,
		KeepEmptyValue: true,
	}
}

// lookalikes are the headers of the request that some upstreams read as identity headers although
// they are not: CGI and its heirs take "_" and "." for "-". Those that are spelt right are
// overwritten, not removed.
func lookalikes(request *authv3.AttributeContext_HttpRequest) []string {
	var found []string
	note := func(name string) {
		if looksAlike(name) && !slices.Contains(identityHeaders[:], strings.ToLower(name)) {
			found = append(found, name)
		}
	}
	for name := range request.GetHeaders() {
		note(name)
	}
	for _, header := range request.GetHeaderMap().GetHeaders() {
		note(header.GetKey())
	}
	slices.Sort(found)
	return slices.Compact(found)
}

// looksAlike reports whether some upstream may take a name for that of an identity header.
func looksAlike(name string) bool {
	if len(name) < len(identityPrefix) || name[0]|0x20 != identityPrefix[0] { // most names
		return false
	}
	read := strings.NewReplacer("_", "-", ".", "-").Replace(strings.ToLower(name))
	return strings.HasPrefix(read, identityPrefix)
}

// metadata has the claims of the token, for filters after this one and for access logs. The names
// are those of the claims.
func metadata(verdict auth.Verdict) *structpb.Struct {
	claims := verdict.Claims
	fields := map[string]*structpb.Value{
		"iss":              text(claims.Issuer),
		"sub":              text(claims.Subject),
		"sub_type":         text(claims.SubjectType()),
		"aud":              text(claims.Audience),
		"client_id":        text(claims.ClientID),
		"client_uid":       text(claims.ClientUID),
		"client_namespace": text(verdict.Client.Namespace),
		"scopes":           texts(claims.Scopes),
		"jti":              text(claims.ID),
		"iat":              structpb.NewNumberValue(float64(claims.IssuedAt.Unix())),
		"exp":              structpb.NewNumberValue(float64(claims.ExpiresAt.Unix())),
		"custom":           structpb.NewStructValue(custom(claims.Custom)),
	}
	if len(claims.Scopes) > 0 {
		fields["scope"] = text(strings.Join(claims.Scopes, " "))
	}
	if claims.Exchanged() {
		fields["act"] = structpb.NewStructValue(act(claims.Actors))
	}
	return &structpb.Struct{Fields: fields}
}

// act are the clients that passed the token on, nested as in the claim (RFC 8693 section 4.1).
func act(actors []string) *structpb.Struct {
	nested := &structpb.Struct{Fields: map[string]*structpb.Value{"sub": text(actors[0])}}
	if len(actors) > 1 {
		nested.Fields["act"] = structpb.NewStructValue(act(actors[1:]))
	}
	return nested
}

// custom are the claims that the client's spec adds, in a struct of their own: their names cannot
// meet ours there.
func custom(claims []oauth2.Claim) *structpb.Struct {
	fields := make(map[string]*structpb.Value, len(claims))
	for _, claim := range claims {
		fields[claim.Name] = text(claim.Value)
		if len(claim.Values) > 0 {
			fields[claim.Name] = texts(claim.Values)
		}
	}
	return &structpb.Struct{Fields: fields}
}

func texts(values []string) *structpb.Value {
	list := make([]*structpb.Value, 0, len(values))
	for _, value := range values {
		list = append(list, text(value))
	}
	return structpb.NewListValue(&structpb.ListValue{Values: list})
}

// text is structpb.NewStringValue in one piece of memory; an answer has a dozen.
func text(value string) *structpb.Value {
	whole := &struct {
		value structpb.Value
		kind  structpb.Value_StringValue
	}{kind: structpb.Value_StringValue{StringValue: value}}
	whole.value.Kind = &whole.kind
	return &whole.value
}
