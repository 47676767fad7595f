// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth2token

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/internal/keyring"
	"github.com/hallpass-dev/hallpass/internal/registration"
	"github.com/hallpass-dev/hallpass/test/kit/late"
)

// end lets all come to rest, and checks what has to be so then.
func (h *history) end() {
	h.t.Helper()
	h.server.Refuse = nil
	h.setRight()
	m := h.managers[len(h.managers)-1]
	if len(h.managers) > 1 {
		h.abandonAllBut(m)
	}
	h.managers = []*manager{m}
	h.pass(h.leaps) // until a clock that was turned back is where it was
	quiet := 0
	for range 60 {
		h.register()
		h.rotateKeys(keyring.Order{})
		h.collect()
		h.collectGarbage()
		before := len(h.server.Writes)
		h.reconcile(m, true)
		if quiet++; len(h.server.Writes) > before {
			quiet = 0
		}
		if quiet == 3 {
			break
		}
		// longer than a wait after a failure, or after a repair that did not hold
		h.pass(5 * time.Minute)
	}
	if quiet < 3 {
		h.t.Fatalf("it is not at rest: %q", h.server.Writes[max(0, len(h.server.Writes)-6):])
	}
	h.checkEnd()
	h.wakeItself(m)
}

// setRight ends what keeps the OAuth2Token from a token.
func (h *history) setRight() {
	h.t.Helper()
	h.limit = 90 * 24 * time.Hour
	for _, m := range h.managers {
		m.MaxLifetime = h.limit
	}
	if h.isNewer() {
		h.toggleNewer()
	}
	for _, name := range []string{"app", "other"} {
		if late.Find(h.server, &v1alpha1.OAuth2Client{}, "shop", name) == nil {
			h.create(&v1alpha1.OAuth2Client{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: name}})
		}
		edit(h.world, &v1alpha1.OAuth2Client{}, "shop", name, func(c *v1alpha1.OAuth2Client) {
			c.Spec.Scopes, c.Spec.Access = []v1alpha1.Scope{"s0", "s1"}, []v1alpha1.Access{{ResourceNamespace: "orders", ResourceName: "api"}}
			c.Spec.State, c.Spec.Authentication.Method = v1alpha1.ClientActive, ""
		})
	}
	edit(h.world, &v1alpha1.OAuth2Resource{}, "orders", "api", func(r *v1alpha1.OAuth2Resource) {
		r.Spec.MaxFixedTokenLifetime, r.Spec.Scopes = "2000h", []v1alpha1.ResourceScope{{Name: "s0"}, {Name: "s1"}}
	})
	h.freeName()
	edit(h.world, &v1alpha1.OAuth2Token{}, "shop", "legacy", func(o *v1alpha1.OAuth2Token) {
		o.Spec.Secret.Template = nil
		if o.Spec.Mode == v1alpha1.TokenRefreshing {
			o.Spec.Scopes = nil
		}
	})
}

// recordOf is the name of the record of the OAuth2Token.
func (h *history) recordOf() string { return registration.TokenSecretName(string(h.object().UID)) }

// checkEnd is what holds in the end.
func (h *history) checkEnd() {
	h.t.Helper()
	o, judge, held := h.object(), h.judge(), h.held()
	t, refusal := h.tokens[held], judge.refusal(held)
	expired := o.Spec.Mode == v1alpha1.TokenFixed && !h.clock.Now().Before(o.Spec.ExpirationTime.Time)
	ready := h.condition(v1alpha1.ConditionReady)
	isReady := ready.Status == metav1.ConditionTrue
	labels := map[string]string{v1alpha1.LabelManagedBy: v1alpha1.ManagedBy}
	for key, value := range o.Spec.Secret.Labels {
		labels[key] = string(value)
	}
	var has map[string]string
	if s := h.own(); s != nil {
		has = maps.Clone(s.Labels)
		delete(has, byOthers)
	}
	former := slices.DeleteFunc(h.secrets("shop"), func(s *corev1.Secret) bool {
		return s.Name == secretName(o) || !metav1.IsControlledBy(s, o)
	})
	for what, wrong := range map[string]bool{
		"it is not Ready":                            !isReady && !expired && o.Spec.Mode == v1alpha1.TokenRefreshing,
		"it is Ready, and what it has is refused":    isReady && refusal != "" && !h.tolerates(t, refusal),
		"it is not Ready, and its token is accepted": !isReady && refusal == "",
		"it has expired, and is Ready":               expired && isReady,
		"the Secret has other labels than asked":     isReady && !h.stripped && !maps.Equal(labels, has),
		"a Secret under a former name is there":      isReady && len(former) > 0,
		"something is said to be in the way":         isReady && (h.condition(v1alpha1.ConditionReconciling).Type != "" || h.condition(v1alpha1.ConditionStalled).Type != ""),
		"the status names another token":             isReady && (t == nil || o.Status.TokenID != t.ID || !o.Status.ExpiresAt.Time.Equal(t.ExpiresAt)),
		"an audit line waits":                        !h.two && (h.hasUnanswered(h.managers[0]) || len(h.owed) > 0),
	} {
		if wrong {
			h.t.Errorf("%s: %s, refused %q, status %+v", what, secretName(o), refusal, o.Status)
		}
	}
	h.checkAudit(judge)
}

// checkAudit is that each token that was in the Secret has its audit lines.
func (h *history) checkAudit(judge judge) {
	h.t.Helper()
	for value, t := range h.tokens {
		if t.excused || t.uid != string(h.object().UID) {
			continue
		}
		if len(h.issued[t.ID]) == 0 {
			h.t.Errorf("no audit line says that token %s was issued", t.ID)
		}
		if h.two && len(h.ended[t.ID]) == 0 {
			// a second manager wrote over what the first one has no answer about
			continue
		}
		if over := judge.lacks(value) || !t.Live(h.clock.Now()); over != (len(h.ended[t.ID]) > 0) {
			h.t.Errorf("token %s is over: %t, and %d audit lines say so", t.ID, over, len(h.ended[t.ID]))
		}
	}
	var said strings.Builder
	for len(h.recorder.Events) > 0 {
		said.WriteString(<-h.recorder.Events)
	}
	fmt.Fprint(&said, h.object().Status)
	for value := range h.tokens {
		if strings.Contains(said.String(), value) {
			h.t.Error("a token is in an event or a condition")
		}
	}
}

// wakeItself is that nothing but the instants that a reconcile returns is needed for a token to be
// replaced, and for its end to be reported.
func (h *history) wakeItself(m *manager) {
	h.t.Helper()
	if h.t.Failed() || h.condition(v1alpha1.ConditionReady).Status != metav1.ConditionTrue {
		return
	}
	for range 8 {
		h.rotateKeys(keyring.Order{})
		wait := h.reconcile(m, true).RequeueAfter
		o := h.object()
		if over := o.Spec.Mode == v1alpha1.TokenFixed && !h.clock.Now().Before(o.Status.ExpiresAt.Time); over || wait == 0 {
			if !over || h.condition(v1alpha1.ConditionReady).Reason != v1alpha1.ReasonExpired {
				h.t.Errorf("nothing wakes it: %+v", o.Status)
			}
			return
		}
		h.pass(wait - time.Millisecond)
		if refusal := h.judge().refusal(h.held()); refusal != "" && o.Spec.Mode == v1alpha1.TokenRefreshing {
			h.t.Errorf("what is in the Secret is refused (%s) before it is looked at again", refusal)
		}
		h.pass(time.Millisecond)
	}
}
