// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package tokenserver

import (
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/hallpass-dev/hallpass/internal/jws"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
)

const workerAccount = "system:serviceaccount:shop:worker"

// byPassword is the body of a token request with the grant type password.
func byPassword(user, password string, more ...string) string {
	form := url.Values{"grant_type": {"password"}, "username": {user}, "password": {password}}
	for pair := range slices.Chunk(more, 2) {
		form.Set(pair[0], pair[1])
	}
	return form.Encode()
}

func newPasswordWorld(t *testing.T) accountWorld {
	t.Helper()
	return newClusterWorld(t, newSigner(t, jws.ES256), func(s *settings) { s.PasswordGrant = true })
}

// The token of a service account as a password gets what it gets as a client assertion.
func TestAPasswordIsTheTokenOfAServiceAccount(t *testing.T) {
	w := newPasswordWorld(t)
	token := w.sign(w.signer, "", nil)
	for name, body := range map[string]string{
		"the only client of the account": byPassword(workerAccount, token),
		"with its client_id":             byPassword(workerAccount, token, "client_id", podded),
		"with a scope":                   byPassword(workerAccount, token, "scope", "read"),
	} {
		t.Run(name, func(t *testing.T) {
			answer := w.do(call{body: body})
			var issued struct {
				Token   string `json:"access_token"`
				Scope   string `json:"scope"`
				Refresh string `json:"refresh_token"`
			}
			if err := json.Unmarshal(answer.Body.Bytes(), &issued); err != nil || answer.Code != http.StatusOK || issued.Refresh != "" {
				t.Fatalf("%d %s: %v", answer.Code, answer.Body, w.lastAudit()["reason"])
			}
			if want := map[bool]string{true: "read", false: "read write"}[name == "with a scope"]; issued.Scope != want {
				t.Errorf("scope %q, want %q", issued.Scope, want)
			}
			line := w.lastAudit()
			if line["client_id"] != podded || line["method"] != "service_account_password" || line["credential"] == nil || line["sub"] != nil {
				t.Errorf("the audit line is %v", line)
			}
			var introspected map[string]any
			asked := w.do(call{path: oauth2.IntrospectionPath, body: fromPod(token) + "&token=" + issued.Token})
			if err := json.Unmarshal(asked.Body.Bytes(), &introspected); err != nil || introspected["sub"] != podded || introspected["sub_type"] != "client" {
				t.Errorf("introspected as %s", asked.Body)
			}
			if strings.Contains(w.audit.String(), token) {
				t.Error("the password is in the audit log")
			}
		})
	}
}

func TestOtherPasswordsAreRefused(t *testing.T) {
	const (
		notAccepted = `"error":"invalid_grant","error_description":"the password is not accepted`
		several     = `"error":"invalid_request","error_description":"the password of this grant authenticates the client; send no other credential beside it"`
	)
	for name, c := range map[string]struct {
		call   func(w accountWorld) call
		change func(w accountWorld)
		answer string
		reason oauth2.Reason
	}{
		"the password of a person": {
			call:   func(accountWorld) call { return call{body: byPassword("alice", "correct horse battery staple")} },
			answer: notAccepted, reason: oauth2.ReasonMalformedCredential,
		},
		"the user name of a person beside a token": {
			call:   func(w accountWorld) call { return call{body: byPassword("alice", w.sign(w.signer, "", nil))} },
			answer: notAccepted, reason: oauth2.ReasonWrongServiceAccount,
		},
		"the user name of another account": {
			call: func(w accountWorld) call {
				return call{body: byPassword("system:serviceaccount:shop:other", w.sign(w.signer, "", nil))}
			},
			answer: notAccepted, reason: oauth2.ReasonWrongServiceAccount,
		},
		"no user name": {
			call:   func(w accountWorld) call { return call{body: byPassword("", w.sign(w.signer, "", nil))} },
			answer: `"error":"invalid_request","error_description":"username or password is missing`, reason: oauth2.ReasonMalformedRequest,
		},
		"no password": {
			call:   func(accountWorld) call { return call{body: byPassword(workerAccount, "")} },
			answer: `"error":"invalid_request","error_description":"username or password is missing`, reason: oauth2.ReasonMalformedRequest,
		},
		"a client secret as the password": {
			call:   func(w accountWorld) call { return call{body: byPassword(workerAccount, w.secrets[reporting])} },
			answer: notAccepted, reason: oauth2.ReasonMalformedCredential,
		},
		"a token that signs as another client does": {
			call: func(w accountWorld) call {
				return call{body: byPassword(workerAccount, w.sign(w.signer, "", map[string]any{"sub": podded}))}
			},
			answer: notAccepted, reason: oauth2.ReasonMalformedCredential,
		},
		"a token for another audience": {
			call: func(w accountWorld) call {
				return call{body: byPassword(workerAccount, w.sign(w.signer, "", map[string]any{"aud": []string{"https://kubernetes.default.svc"}}))}
			},
			answer: notAccepted, reason: oauth2.ReasonAssertionAudience,
		},
		"a token for this audience and another one": {
			call: func(w accountWorld) call {
				return call{body: byPassword(workerAccount, w.sign(w.signer, "", map[string]any{"aud": []string{testIssuer, "vault"}}))}
			},
			answer: notAccepted, reason: oauth2.ReasonAssertionAudience,
		},
		"a token that another cluster signed": {
			call: func(w accountWorld) call {
				return call{body: byPassword(workerAccount, w.sign(newSigner(w.t, jws.ES256), "", nil))}
			},
			answer: notAccepted, reason: oauth2.ReasonAssertionKeyUnknown,
		},
		"a token whose pod is gone": {
			call:   func(w accountWorld) call { return call{body: byPassword(workerAccount, w.sign(w.signer, "", nil))} },
			change: func(w accountWorld) { w.cluster.verdict = oauth2.Dishonoured },
			answer: notAccepted, reason: oauth2.ReasonAccountTokenEnded,
		},
		"an account that no client names": {
			call: func(w accountWorld) call {
				return call{body: byPassword("system:serviceaccount:shop:other", w.sign(w.signer, "", map[string]any{
					"sub": "system:serviceaccount:shop:other", "kubernetes.io": kubernetesClaim("shop", "other", "uid-of-other"),
				}))}
			},
			answer: notAccepted, reason: oauth2.ReasonUnknownClient,
		},
		"the client_id of another client": {
			call: func(w accountWorld) call {
				return call{body: byPassword(workerAccount, w.sign(w.signer, "", nil), "client_id", reporting)}
			},
			answer: notAccepted, reason: oauth2.ReasonWrongMethod,
		},
		"a suspended client": {
			call:   func(w accountWorld) call { return call{body: byPassword(workerAccount, w.sign(w.signer, "", nil))} },
			change: func(w accountWorld) { w.dir.known[podded].Owner.Suspended = true },
			answer: notAccepted, reason: oauth2.ReasonSuspended,
		},
		"a client without client_credentials": {
			call:   func(w accountWorld) call { return call{body: byPassword(workerAccount, w.sign(w.signer, "", nil))} },
			change: func(w accountWorld) { w.dir.known[podded].Client.GrantTypes = oauth2.JWTBearer },
			answer: `"error":"unauthorized_client"`, reason: oauth2.ReasonGrantTypeNotAllowed,
		},
		"a Basic header beside it": {
			call: func(w accountWorld) call {
				return call{basic: reporting, body: byPassword(workerAccount, w.sign(w.signer, "", nil))}
			},
			answer: several, reason: oauth2.ReasonSeveralMethods,
		},
		"a client_secret beside it": {
			call: func(w accountWorld) call {
				return call{body: byPassword(workerAccount, w.sign(w.signer, "", nil), "client_secret", "x")}
			},
			answer: several, reason: oauth2.ReasonSeveralMethods,
		},
		"a client assertion beside it": {
			call: func(w accountWorld) call {
				return call{body: byPassword(workerAccount, w.sign(w.signer, "", nil), "client_assertion", "x")}
			},
			answer: several, reason: oauth2.ReasonSeveralMethods,
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newPasswordWorld(t)
			if c.change != nil {
				c.change(w)
			}
			answer := w.do(c.call(w))
			if answer.Code != http.StatusBadRequest || !strings.Contains(answer.Body.String(), c.answer) {
				t.Errorf("%d %s", answer.Code, answer.Body)
			}
			if got := w.lastAudit()["reason"]; got != string(c.reason) {
				t.Errorf("reason %v, want %s", got, c.reason)
			}
		})
	}
}

// Without the flag nothing of a password is read, and the metadata do not name the grant type.
func TestPasswordsAreServedOnlyWithTheFlag(t *testing.T) {
	for with, w := range map[bool]accountWorld{true: newPasswordWorld(t), false: newAccountWorld(t)} {
		var document struct {
			GrantTypes []string `json:"grant_types_supported"`
		}
		answer := w.do(call{method: http.MethodGet, path: oauth2.MetadataPath})
		if err := json.Unmarshal(answer.Body.Bytes(), &document); err != nil || slices.Contains(document.GrantTypes, "password") != with {
			t.Errorf("with the flag %t: %v", with, document.GrantTypes)
		}
		body := byPassword(workerAccount, w.sign(w.signer, "", nil))
		if answer := w.do(call{body: body}); (answer.Code == http.StatusOK) != with {
			t.Errorf("with the flag %t: %d %s", with, answer.Code, answer.Body)
		}
		refused := w.do(call{basic: reporting, body: body})
		if !with && (refused.Code != http.StatusBadRequest || !strings.Contains(refused.Body.String(), `"unsupported_grant_type"`)) {
			t.Errorf("without the flag: %d %s", refused.Code, refused.Body)
		}
	}
}
