// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package tokenserver

import (
	"encoding/json"
	"errors"
	"mime"
	"net/http"
	"net/netip"
	"time"

	"github.com/hallpass-dev/hallpass/internal/answer"
	"github.com/hallpass-dev/hallpass/internal/audit"
	"github.com/hallpass-dev/hallpass/internal/auth"
	"github.com/hallpass-dev/hallpass/internal/budget"
	"github.com/hallpass-dev/hallpass/internal/codegrant"
	"github.com/hallpass-dev/hallpass/internal/loginport"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
)

// LoginConfig is what the port for login needs.
type LoginConfig struct {
	Authority *auth.Authority
	Auditor   *audit.Auditor
	// Account is the service account that login runs as. No other caller is answered.
	Account oauth2.ObjectName
	// Sources has the addresses that are one source.
	Sources budget.Sources
}

// The levels of the budget of the port. A person takes four calls to log in.
const (
	callsOfSource = iota // by the address of the browser
	callsOfAll
)

func loginCalls(sources budget.Sources) *budget.Budget {
	return budget.New(
		// the persons of an office have one address
		budget.Level{Burst: 400, Interval: 10 * time.Millisecond},
		budget.Level{
			Burst: 1200, Interval: 2500 * time.Microsecond, Shared: true,
			Shares: []budget.Share{{Burst: 40, Interval: 250 * time.Millisecond, Sources: &sources}},
		},
	)
}

// NewLogin returns the handler of the port for login. It answers the service account of login
// alone, and believes nothing of a message: it verifies each request, ticket and ID token.
func NewLogin(c LoginConfig) http.Handler {
	p := &port{authority: c.Authority, auditor: c.Auditor}
	of := loginPort{authority: auth.Logins{Authority: c.Authority}, account: c.Account, limit: loginCalls(c.Sources)}
	mux := http.NewServeMux()
	for _, r := range []route{
		{loginport.BeginPath, post, audit.LoginBegin, loginEndpoint[loginport.BeginRequest]{of, beginLogin}},
		{loginport.ResumePath, post, audit.LoginResume, loginEndpoint[loginport.ResumeRequest]{of, resumeLogin}},
		{loginport.FinishPath, post, audit.LoginFinish, loginEndpoint[loginport.FinishRequest]{of, finishLogin}},
	} {
		mux.Handle("POST "+r.path, p.handler(r.name, nil, r.endpoint))
		mux.Handle(r.path, p.otherMethods(r))
	}
	return p.withoutRedirects(mux, nil)
}

// loginPort is what the endpoints of the port share.
type loginPort struct {
	authority auth.Logins
	account   oauth2.ObjectName
	limit     *budget.Budget
}

// loginEndpoint is one step of a login, with a message of a type of its own.
type loginEndpoint[M any] struct {
	loginPort

	decide func(r *http.Request, a auth.Logins, message M, source string) (body any, step auth.LoginStep, err error)
}

func (e loginEndpoint[M]) serve(r *http.Request, in request) (answer.Answer, auth.Trail, error) {
	audience := loginport.Audience(e.authority.Issuer.String())
	if err := e.authority.CheckPages(r.Context(), r.Header.Values("Authorization"), e.account, audience, in.source); err != nil {
		return answer.Challenge{}.Refusal(err), auth.Trail{}, err
	}
	var message M
	browser, err := readMessage(r, &message)
	if err != nil {
		return answer.Answer{}, auth.Trail{}, err
	}
	source, trail := in.source, auth.Trail{OfLogin: auth.OfLogin{Browser: browser}}
	if browser != "" {
		source = browser
	}
	own, shared := budget.Key{Level: callsOfSource, Who: source}, budget.Key{Level: callsOfAll, Who: source}
	if d := e.limit.Take(in.at, own, shared); !d.OK {
		return answer.Answer{}, trail, auth.Throttled(d.Wait, "too many logins from there; try again after Retry-After")
	}
	place, err := e.authority.Enter(source)
	if err != nil {
		return answer.Answer{}, trail, err
	}
	defer place.Leave()
	body, step, err := e.decide(r, e.authority, message, source)
	step.Trail.Browser = browser
	if body == nil {
		return answer.Answer{}, step.Trail, err
	}
	encoded, encodeErr := json.Marshal(body)
	if encodeErr != nil {
		return answer.Answer{}, step.Trail, encodeErr //nolint:wrapcheck // a fault of this process
	}
	return answer.Private(answer.JSON, encoded), step.Trail, err
}

// readMessage reads a message, and returns the address of the browser in it, which decides nothing.
func readMessage(r *http.Request, message any) (browser string, err error) {
	if mediaType, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || mediaType != loginport.MediaType {
		return "", answer.ByHTTP(http.StatusUnsupportedMediaType, "", "send the message as "+loginport.MediaType)
	}
	content, err := readUpTo(r, nil, loginport.MaxRequestBytes+1)
	if err != nil {
		return "", oauth2.Refuse(oauth2.InvalidRequest, oauth2.ReasonMalformedRequest, "the body could not be read")
	}
	if len(content) > loginport.MaxRequestBytes {
		return "", answer.ByHTTP(http.StatusRequestEntityTooLarge, "", "the body is longer than 64 KiB")
	}
	r.Body = http.NoBody // it was read whole
	var from struct {
		Source string `json:"source"`
	}
	if json.Unmarshal(content, message) != nil || json.Unmarshal(content, &from) != nil {
		return "", oauth2.Refuse(oauth2.InvalidRequest, oauth2.ReasonMalformedRequest, "the body is no message of this port")
	}
	if address, err := netip.ParseAddr(from.Source); err == nil && address.Zone() == "" {
		return address.String(), nil
	}
	return "", nil
}

// beginLogin decides about an authorization request.
func beginLogin(r *http.Request, a auth.Logins, message loginport.BeginRequest, source string) (any, auth.LoginStep, error) {
	step, err := a.Begin(r.Context(), message.Query, source)
	return attemptAnswer(step, err), step, err
}

// resumeLogin returns the attempt of a ticket.
func resumeLogin(r *http.Request, a auth.Logins, message loginport.ResumeRequest, source string) (any, auth.LoginStep, error) {
	step, err := a.Resume(r.Context(), oauth2.NewSecret(string(message.Ticket)), source)
	return attemptAnswer(step, err), step, err
}

// ends are the ends of an attempt without an ID token.
var ends = map[loginport.Ended]auth.Ended{ //nolint:gochecknoglobals // a constant table
	loginport.PersonRefused: auth.EndedByPerson, loginport.ProviderRefused: auth.EndedByProvider, loginport.ProviderUnavailable: auth.ProviderAway,
	loginport.ProviderUnusable: auth.ProviderUnusable,
}

// finishLogin ends an attempt.
func finishLogin(r *http.Request, a auth.Logins, message loginport.FinishRequest, source string) (any, auth.LoginStep, error) {
	ended, known := ends[message.Ended]
	if known == (message.IDToken != "") || message.Ended != "" && !known {
		err := oauth2.Refuse(oauth2.InvalidRequest, oauth2.ReasonMalformedRequest, "send either idToken or ended")
		return nil, auth.LoginStep{}, err
	}
	step, err := a.Finish(r.Context(), oauth2.NewSecret(string(message.Ticket)), oauth2.NewSecret(string(message.IDToken)), ended, source)
	switch refusal := refusalOf(err); {
	case !step.Redirect.Empty():
		return loginport.FinishAnswer{Redirect: loginport.Opaque(step.Redirect.Reveal())}, step, err
	case refusal != nil:
		return loginport.FinishAnswer{Refusal: refusal}, step, err
	}
	return nil, step, err
}

// attemptAnswer is the answer with an attempt, or with what is wrong; nil if login has to ask
// again.
func attemptAnswer(step auth.LoginStep, err error) any {
	switch refusal := refusalOf(err); {
	case step.Attempt != nil:
		return loginport.BeginAnswer{Attempt: attemptOf(step)}
	case !step.Redirect.Empty():
		return loginport.BeginAnswer{Redirect: step.Redirect.Reveal()}
	case refusal != nil:
		return loginport.BeginAnswer{Refusal: refusal}
	}
	return nil
}

// refusalOf is the text of a page about a refusal; nil for what another request may mend, and for
// our own faults.
func refusalOf(err error) *loginport.Refusal {
	refusal, ok := errors.AsType[*oauth2.Error](err)
	if !ok || refusal.Code == oauth2.TemporarilyUnavailable {
		return nil
	}
	return &loginport.Refusal{Code: string(refusal.Code), Description: refusal.Description, Reason: string(refusal.Reason)}
}

// attemptOf is an attempt as login shows it.
func attemptOf(step auth.LoginStep) *loginport.Attempt {
	a := step.Attempt
	consent := loginport.Consent{
		Needed: a.Offer.ConsentNeeded, ClientID: a.Client.ID, ClientName: a.Client.Codes.DisplayName, Namespace: a.Client.Namespace,
		RedirectHost: codegrant.RedirectHost(a.RedirectURI), RedirectOrigin: codegrant.RedirectOrigin(a.RedirectURI),
		API: a.Resource.Identifier, APIName: a.Resource.DisplayName, LeftOut: a.Offer.LeftOut, Scopes: make([]loginport.Scope, 0, len(a.Offer.Scopes)),
	}
	for _, scope := range a.Offer.Scopes {
		consent.Scopes = append(consent.Scopes, loginport.Scope{Name: scope, Description: a.Resource.Describe(scope)})
	}
	issuer := a.Issuer
	return &loginport.Attempt{
		Ticket: loginport.Opaque(a.Ticket.Reveal()), ExpiresIn: int(a.ExpiresAt.Sub(step.At) / time.Second), Nonce: a.Nonce, Consent: consent,
		Provider: loginport.Provider{
			Name: issuer.Name, DisplayName: issuer.DisplayName, Issuer: issuer.Issuer, ClientID: issuer.Login.ClientID, SecretName: issuer.Login.SecretName,
			Scopes: issuer.Login.Scopes, CABundle: issuer.CABundle, AllowedCIDRs: issuer.AllowedCIDRs,
		},
	}
}
