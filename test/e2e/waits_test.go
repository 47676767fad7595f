// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package e2e_test

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
	"github.com/hallpass-dev/hallpass/internal/revocation"
	"github.com/hallpass-dev/hallpass/test/kit/conditions"
	"github.com/hallpass-dev/hallpass/test/kit/installation"
	"github.com/hallpass-dev/hallpass/test/kit/issuers"
)

// waitCase is a condition that is brought about and ended without a change of the object that has
// it.
type waitCase struct {
	// before are created first, one after the other, each when the manager has reconciled the
	// one before.
	before []client.Object
	object client.Object
	// The condition ends when these are created, deleted, or changed in the cluster.
	create []client.Object
	remove client.Object
	change func(t *testing.T)
}

// Objects of the cases. Each case has a namespace of its own.

func clientWith(namespace string, change func(*v1alpha1.OAuth2ClientSpec)) *v1alpha1.OAuth2Client {
	c := newIn(namespace, "app")
	change(&c.Spec)
	return c
}

func policyOf(namespace string, change func(*v1alpha1.OAuth2PolicySpec)) *v1alpha1.OAuth2Policy {
	p := &v1alpha1.OAuth2Policy{ObjectMeta: metav1.ObjectMeta{Name: namespace}, Spec: v1alpha1.OAuth2PolicySpec{
		NamespaceSelector: v1alpha1.LabelMatch{MatchLabels: map[string]v1alpha1.LabelValue{corev1.LabelMetadataName: v1alpha1.LabelValue(namespace)}},
	}}
	change(&p.Spec)
	return p
}

func resourceWith(namespace, name string, change func(*v1alpha1.OAuth2ResourceSpec)) *v1alpha1.OAuth2Resource {
	r := &v1alpha1.OAuth2Resource{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}}
	r.Spec.Scopes = scopesNamed("s")
	change(&r.Spec)
	return r
}

func secretWith(namespace string, labels map[string]string, data map[string]string) *corev1.Secret {
	return &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "app", Labels: labels}, StringData: data}
}

func existing(spec *v1alpha1.OAuth2ClientSpec) { spec.Secret.Source = v1alpha1.SecretExisting }

func asking(namespace string) func(*v1alpha1.OAuth2ClientSpec) {
	return func(spec *v1alpha1.OAuth2ClientSpec) {
		spec.Access = []v1alpha1.Access{{ResourceNamespace: v1alpha1.NamespaceName(namespace), ResourceName: "api", Scopes: []v1alpha1.Scope{"s"}}}
	}
}

func granting(namespace string) func(*v1alpha1.OAuth2ResourceSpec) {
	return func(spec *v1alpha1.OAuth2ResourceSpec) {
		spec.Grants = []v1alpha1.ResourceGrant{{
			From: v1alpha1.GrantSource{Namespaces: []v1alpha1.NamespaceName{v1alpha1.NamespaceName(namespace)}}, Scopes: []v1alpha1.Scope{"s"},
		}}
	}
}

// edited is a change of an object that is there.
func edited[T client.Object](o T, change func(T)) func(t *testing.T) {
	return func(t *testing.T) {
		t.Helper()
		eventually(t, o.GetName()+" is changed", func() bool {
			must(t, cluster.Get(t.Context(), client.ObjectKeyFromObject(o), o))
			change(o)
			err := cluster.Update(t.Context(), o)
			if !apierrors.IsConflict(err) {
				must(t, err)
			}
			return err == nil
		})
	}
}

func worker(namespace string) *corev1.ServiceAccount {
	return &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "worker"}}
}

var credentialsLabel = map[string]string{v1alpha1.LabelCredentials: "true"}

const strong = "u2Fv9Qk1ZpX7mB4nT0sJcA"

// delegating is a trusted issuer with inline keys for a namespace.
func delegating(name, namespace string) *v1alpha1.OAuth2TrustedIssuer {
	o := trusting(name, &issuers.Issuer{URL: "https://" + name + ".example.com"}, v1alpha1.IssuerNamespaces{From: fromNamespace(namespace)})
	o.Spec.Keys = v1alpha1.IssuerKeysSpec{Source: v1alpha1.KeysInline, JWKS: inlineKeys}
	return o
}

// federated is a client that names the trusted issuer of the name of its namespace.
func federated(namespace string) *v1alpha1.OAuth2Client {
	c := federatedClient("app", namespace, v1alpha1.FederatedTokenSpec{Subject: "a"})
	c.Namespace = namespace
	return c
}

// federating lets the clients of a namespace use the method.
func federating(namespace string) *v1alpha1.OAuth2Policy {
	return policyOf(namespace, func(spec *v1alpha1.OAuth2PolicySpec) {
		spec.AuthenticationMethods = []v1alpha1.AuthenticationMethod{v1alpha1.ByFederatedToken}
	})
}

// waitsOfClients are the cases of OAuth2Clients, by reason.
func waitsOfClients() map[string]waitCase {
	id := func(spec *v1alpha1.OAuth2ClientSpec) { spec.ClientID = "waits-id" }
	holder := clientWith("waits-id", id)
	holder.Name = "holder"
	allowed := policyOf("waits-id", func(spec *v1alpha1.OAuth2PolicySpec) { spec.ClientIDs = []v1alpha1.IdentifierPattern{"waits-*"} })
	first, second := newIn("waits-room", "first"), newIn("waits-room", "second")
	foreign, foreignConfig := secretWith("waits-secret", nil, nil), configMapAs("waits-configmap", "app", nil)
	account := accountClient("app", "worker")
	account.Namespace = "waits-configmap"
	sharing, sharer := accountClient("first", "worker"), accountClient("second", "worker")
	sharing.Namespace, sharer.Namespace = "waits-shared", "waits-shared"
	elsewhere := delegating("waits-delegation", "waits-elsewhere")
	lonely := accountClient("app", "worker")
	lonely.Namespace = "waits-account"
	unlabelled := secretWith("waits-label", nil, map[string]string{"client_secret": strong})
	weak := secretWith("waits-weak", credentialsLabel, map[string]string{"client_secret": "changeme"})
	misnamed := secretWith("waits-key", credentialsLabel, map[string]string{"password": strong})
	mismatch := secretWith("waits-mismatch", credentialsLabel, map[string]string{"client_secret": strong, "client_id": "another"})
	strict := policyOf("waits-method", func(spec *v1alpha1.OAuth2PolicySpec) {
		spec.AuthenticationMethods = []v1alpha1.AuthenticationMethod{v1alpha1.ByServiceAccount}
	})
	revoked := newIn("waits-revoked", "app")
	selector := revocation.Selector{ClientID: "waits-revoked.app", IssuedBefore: time.Now().Add(-time.Minute).Truncate(time.Second).UTC()}
	collapsed := &v1alpha1.TokenRevocation{
		ObjectMeta: metav1.ObjectMeta{Namespace: installation.RegistryNamespace, Name: selector.Name()},
		Spec: v1alpha1.TokenRevocationSpec{Selector: v1alpha1.RevocationSelector{
			ClientID: selector.ClientID, IssuedBefore: new(metav1.NewTime(selector.IssuedBefore)),
		}},
	}
	return map[string]waitCase{
		v1alpha1.ReasonClientIDConflict: {
			before: []client.Object{allowed, holder}, object: clientWith("waits-id", id), remove: holder,
		},
		v1alpha1.ReasonClientIDNotAllowed: {
			object: clientWith("waits-id-policy", func(spec *v1alpha1.OAuth2ClientSpec) { spec.ClientID = "patient-id" }),
			create: []client.Object{policyOf("waits-id-policy", func(spec *v1alpha1.OAuth2PolicySpec) {
				spec.ClientIDs = []v1alpha1.IdentifierPattern{"patient-*"}
			})},
		},
		v1alpha1.ReasonClientIDReserved: {
			before: []client.Object{
				&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "waits-first-label"}},
				policyOf("waits-id-reserved", func(spec *v1alpha1.OAuth2PolicySpec) {
					spec.ClientIDs = []v1alpha1.IdentifierPattern{"waits-first-label.app"}
				}),
			},
			object: clientWith("waits-id-reserved", func(spec *v1alpha1.OAuth2ClientSpec) { spec.ClientID = "waits-first-label.app" }),
			remove: &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "waits-first-label"}},
		},
		v1alpha1.ReasonNotAllowedByPolicy: {before: []client.Object{strict}, object: newIn("waits-method", "app"), remove: strict},
		v1alpha1.ReasonTooManyClients: {
			before: []client.Object{policyOf("waits-room", func(spec *v1alpha1.OAuth2PolicySpec) { spec.MaxClients = new(int32(1)) }), first},
			object: second, remove: first,
		},
		v1alpha1.ReasonSecretConflict:    {before: []client.Object{foreign}, object: newIn("waits-secret", "app"), remove: foreign},
		v1alpha1.ReasonConfigMapConflict: {before: []client.Object{worker("waits-configmap"), foreignConfig}, object: account, remove: foreignConfig},
		v1alpha1.ReasonSecretNotFound: {
			object: clientWith("waits-missing", existing), create: []client.Object{secretWith("waits-missing", nil, map[string]string{"client_secret": strong})},
		},
		v1alpha1.ReasonSecretNotLabelled: {
			before: []client.Object{unlabelled}, object: clientWith("waits-label", existing),
			change: edited(unlabelled, func(s *corev1.Secret) { s.Labels = credentialsLabel }),
		},
		v1alpha1.ReasonSecretKeyNotFound: {
			before: []client.Object{misnamed}, object: clientWith("waits-key", existing),
			change: edited(misnamed, func(s *corev1.Secret) { s.Data["client_secret"] = []byte(strong) }),
		},
		v1alpha1.ReasonSecretTooWeak: {
			before: []client.Object{weak}, object: clientWith("waits-weak", existing),
			change: edited(weak, func(s *corev1.Secret) { s.Data["client_secret"] = []byte(strong) }),
		},
		v1alpha1.ReasonClientIDMismatch: {
			before: []client.Object{mismatch}, object: clientWith("waits-mismatch", existing),
			change: edited(mismatch, func(s *corev1.Secret) { delete(s.Data, "client_id") }),
		},
		v1alpha1.ReasonServiceAccountNotFound: {object: lonely, create: []client.Object{worker("waits-account")}},
		v1alpha1.ReasonClientIDNeeded:         {before: []client.Object{worker("waits-shared"), sharer}, object: sharing, remove: sharer},
		v1alpha1.ReasonIssuerNotFound: {
			before: []client.Object{federating("waits-issuer")}, object: federated("waits-issuer"),
			create: []client.Object{delegating("waits-issuer", "waits-issuer")},
		},
		v1alpha1.ReasonNotAllowedByIssuer: {
			before: []client.Object{federating("waits-delegation"), elsewhere}, object: federated("waits-delegation"),
			change: edited(elsewhere, func(o *v1alpha1.OAuth2TrustedIssuer) { o.Spec.Namespaces[0].From = fromNamespace("waits-delegation") }),
		},
		v1alpha1.ReasonNotGranted: {
			object: clientWith("waits-grant", asking("waits-grant")), create: []client.Object{resourceWith("waits-grant", "api", granting("waits-grant"))},
		},
		v1alpha1.ReasonClaimNotAllowed: {
			object: clientWith("waits-claim", func(spec *v1alpha1.OAuth2ClientSpec) { spec.Claims = []v1alpha1.Claim{{Name: "tier", Value: "gold"}} }),
			create: []client.Object{policyOf("waits-claim", func(spec *v1alpha1.OAuth2PolicySpec) {
				spec.Claims = []v1alpha1.AllowedClaim{{Name: "tier", Values: []v1alpha1.ClaimPattern{"gold"}}}
			})},
		},
		v1alpha1.ReasonTooManyRevocations: {before: []client.Object{collapsed}, object: revoked, remove: collapsed},
	}
}

// waitsOfTokens are the cases of OAuth2Tokens, by reason.
func waitsOfTokens() map[string]waitCase {
	of := func(namespace string) *v1alpha1.OAuth2Token {
		return newToken(namespace, "printer", "app", v1alpha1.TokenRefreshing)
	}
	fixed := func(namespace string) *v1alpha1.OAuth2Token {
		return newToken(namespace, "printer", "app", v1alpha1.TokenFixed)
	}
	short := policyOf("waits-late", func(spec *v1alpha1.OAuth2PolicySpec) { spec.MaxFixedTokenLifetime = "1h" })
	none := policyOf("waits-forbidden", func(spec *v1alpha1.OAuth2PolicySpec) { spec.MaxFixedTokenLifetime = "0s" })
	suspended := clientWith("waits-suspended", func(spec *v1alpha1.OAuth2ClientSpec) { spec.State = v1alpha1.ClientSuspended })
	keyless := accountClient("app", "worker")
	keyless.Namespace = "waits-secretless"
	reader := clientWith("waits-scope", func(spec *v1alpha1.OAuth2ClientSpec) { spec.Scopes = []v1alpha1.Scope{"read"} })
	writing := of("waits-scope")
	writing.Spec.Scopes = []v1alpha1.Scope{"write"}
	reluctant := resourceWith("waits-target", "api", func(*v1alpha1.OAuth2ResourceSpec) {})
	aiming := of("waits-target")
	aiming.Spec.Resource = hallpass.Issuer.ResourceIdentifier(oauth2.ObjectName{Namespace: "waits-target", Name: "api"})
	careful := resourceWith("waits-consent-owner", "api", granting("waits-consent"))
	typed := fixed("waits-consent")
	typed.Spec.Resource = hallpass.Issuer.ResourceIdentifier(oauth2.ObjectName{Namespace: "waits-consent-owner", Name: "api"})
	first, second := of("waits-token-room"), of("waits-token-room")
	second.Name = "scanner"
	foreign := secretWith("waits-token-secret", nil, nil)
	foreign.Name = "printer"
	return map[string]waitCase{
		v1alpha1.ReasonExpirationTooLate:  {before: []client.Object{short, newIn("waits-late", "app")}, object: fixed("waits-late"), remove: short},
		v1alpha1.ReasonNotAllowedByPolicy: {before: []client.Object{none, newIn("waits-forbidden", "app")}, object: fixed("waits-forbidden"), remove: none},
		v1alpha1.ReasonNotAllowedByResource: {
			before: []client.Object{careful, clientWith("waits-consent", asking("waits-consent-owner"))}, object: typed,
			change: edited(careful, func(r *v1alpha1.OAuth2Resource) { r.Spec.MaxFixedTokenLifetime = "2160h" }),
		},
		v1alpha1.ReasonClientNotFound: {object: of("waits-client"), create: []client.Object{newIn("waits-client", "app")}},
		v1alpha1.ReasonClientNotReady: {
			before: []client.Object{suspended}, object: of("waits-suspended"),
			change: edited(suspended, func(c *v1alpha1.OAuth2Client) { c.Spec.State = v1alpha1.ClientActive }),
		},
		v1alpha1.ReasonMethodNotSupported: {
			before: []client.Object{worker("waits-secretless"), keyless}, object: of("waits-secretless"),
			change: edited(keyless, func(c *v1alpha1.OAuth2Client) { c.Spec.Authentication = v1alpha1.AuthenticationSpec{} }),
		},
		v1alpha1.ReasonScopeNotGranted: {
			before: []client.Object{reader}, object: writing,
			change: edited(reader, func(c *v1alpha1.OAuth2Client) { c.Spec.Scopes = []v1alpha1.Scope{"write"} }),
		},
		v1alpha1.ReasonTargetNotGranted: {
			before: []client.Object{reluctant, clientWith("waits-target", asking("waits-target"))}, object: aiming,
			change: edited(reluctant, func(r *v1alpha1.OAuth2Resource) { granting("waits-target")(&r.Spec) }),
		},
		v1alpha1.ReasonTooManyTokens: {
			before: []client.Object{
				policyOf("waits-token-room", func(spec *v1alpha1.OAuth2PolicySpec) { spec.MaxTokens = new(int32(1)) }),
				newIn("waits-token-room", "app"), first,
			},
			object: second, remove: first,
		},
		v1alpha1.ReasonSecretConflict: {
			before: []client.Object{foreign, newIn("waits-token-secret", "app")}, object: of("waits-token-secret"), remove: foreign,
		},
	}
}

// waitsOfResources are the cases of OAuth2Resources, by reason.
func waitsOfResources() map[string]waitCase {
	identified := func(spec *v1alpha1.OAuth2ResourceSpec) { spec.Identifier = "https://waits.example.com/api" }
	holder := resourceWith("waits-identifier", "holder", identified)
	allowing := func(namespace string) *v1alpha1.OAuth2Policy {
		return policyOf(namespace, func(spec *v1alpha1.OAuth2PolicySpec) {
			spec.ResourceIdentifiers = []v1alpha1.IdentifierPattern{"https://waits.example.com/*"}
		})
	}
	first, second := resourceWith("waits-resources", "first", func(*v1alpha1.OAuth2ResourceSpec) {}), resourceWith("waits-resources", "second", func(*v1alpha1.OAuth2ResourceSpec) {})
	reserving := policyOf("waits-reserved", func(spec *v1alpha1.OAuth2PolicySpec) { spec.ReservedScopes = []v1alpha1.Scope{"s"} })
	return map[string]waitCase{
		v1alpha1.ReasonIdentifierConflict: {
			before: []client.Object{allowing("waits-identifier"), holder}, object: resourceWith("waits-identifier", "late", identified), remove: holder,
		},
		v1alpha1.ReasonIdentifierNotAllowed: {
			object: resourceWith("waits-identifier-policy", "api", func(spec *v1alpha1.OAuth2ResourceSpec) { spec.Identifier = "https://waits.example.com/other" }),
			create: []client.Object{allowing("waits-identifier-policy")},
		},
		v1alpha1.ReasonReservedScope: {
			before: []client.Object{reserving}, object: resourceWith("waits-reserved", "api", func(*v1alpha1.OAuth2ResourceSpec) {}), remove: reserving,
		},
		v1alpha1.ReasonTooManyResources: {
			before: []client.Object{policyOf("waits-resources", func(spec *v1alpha1.OAuth2PolicySpec) { spec.MaxResources = new(int32(1)) }), first},
			object: second, remove: first,
		},
	}
}

// elsewhere are the rows that another test brings about, because they take other flags of the
// manager, refused writes, hours or thousands of objects.
func elsewhere() map[string]func(*testing.T) {
	return map[string]func(*testing.T){
		"OAuth2TrustedIssuer/KeysNotFetched":      TestAnIssuerIsTrustedOnceItServesGoodKeys,
		"OAuth2TrustedIssuer/IssuerMismatch":      TestAnIssuerIsTrustedOnceItServesGoodKeys,
		"OAuth2TrustedIssuer/WeakKey":             TestAnIssuerIsTrustedOnceItServesGoodKeys,
		"OAuth2TrustedIssuer/KeysStale":           TestStaleKeysOfAnIssuerAreNotUsed,
		"OAuth2TrustedIssuer/IssuerConflict":      TestAnIssuerThatMayNotBeTrusted,
		"OAuth2TrustedIssuer/WriteRefused":        TestARefusedWriteIsTriedAFewTimesAMinute,
		"OAuth2TrustedIssuer/Progressing":         TestARefusedWriteIsTriedAFewTimesAMinute,
		"OAuth2Client/SigningAlgorithmNotEnabled": TestAClientAsksForAnAlgorithm,
		"OAuth2Client/SigningAlgorithmNotReady":   TestAClientAsksForAnAlgorithm,
		"OAuth2Client/WriteRefused":               TestARefusedWriteIsTriedAFewTimesAMinute,
		"OAuth2Token/WriteRefused":                TestARefusedWriteIsTriedAFewTimesAMinute,
		"OAuth2Resource/WriteRefused":             TestARefusedWriteIsTriedAFewTimesAMinute,
		"OAuth2Client/RepairDoesNotHold":          TestARepairThatDoesNotHoldIsReported,
		"OAuth2Token/RepairDoesNotHold":           TestARepairThatDoesNotHoldIsReported,
		"OAuth2Client/Progressing":                TestARefusedWriteIsTriedAFewTimesAMinute,
		"OAuth2Token/Progressing":                 TestARefusedWriteIsTriedAFewTimesAMinute,
		"OAuth2Resource/Progressing":              TestARefusedWriteIsTriedAFewTimesAMinute,
		"OAuth2Token/ExpiresSoon":                 TestAnExpiredTokenIsToldFromOthers,
		"OAuth2Client/TooManyBytes":               TestANamespaceIsStoppedAtItsBytes,
		"OAuth2Token/TooManyBytes":                TestANamespaceIsStoppedAtItsBytes,
		"OAuth2Resource/TooManyBytes":             TestANamespaceIsStoppedAtItsBytes,
		"OAuth2Token/TooLarge":                    TestAReadyClientIsIssuedAllItsScopes,
		"OAuth2Resource/TokenServersOutdated":     TestExchangedTokensWaitForEveryTokenServer,
		"OAuth2Resource/TooLarge":                 TestAResourceThatSelectsTooManyNamespacesWaitsForFewer,
	}
}

// TestEachWaitHasAWake brings about each condition of docs/conditions.md that can end without an
// edit of its object, ends it without touching the object, and waits.
func TestEachWaitHasAWake(t *testing.T) {
	cases := map[string]waitCase{}
	for kind, of := range map[string]map[string]waitCase{"OAuth2Client": waitsOfClients(), "OAuth2Token": waitsOfTokens(), "OAuth2Resource": waitsOfResources()} {
		for reason, c := range of {
			cases[kind+"/"+reason] = c
		}
	}
	for reason, c := range waitsOfCodes() {
		cases["OAuth2Client/"+reason] = c
	}
	cases["TokenRevocation/"+v1alpha1.ReasonClientNotFound] = waitCase{
		object: &v1alpha1.TokenRevocation{
			ObjectMeta: metav1.ObjectMeta{Namespace: installation.RegistryNamespace, Name: "waits"},
			Spec: v1alpha1.TokenRevocationSpec{Selector: v1alpha1.RevocationSelector{
				ClientID: "waits-revocation.app", IssuedBefore: new(metav1.NewTime(time.Now().Add(-time.Minute))),
			}},
		},
		create: []client.Object{newIn("waits-revocation", "app")},
	}
	cases["TokenRevocation/"+v1alpha1.ReasonIssuerNotFound] = waitCase{
		object: &v1alpha1.TokenRevocation{
			ObjectMeta: metav1.ObjectMeta{Namespace: installation.RegistryNamespace, Name: "waits-person"},
			Spec: v1alpha1.TokenRevocationSpec{Selector: v1alpha1.RevocationSelector{
				Subject: "user:waits-corp:00u1", IssuedBefore: new(metav1.NewTime(time.Now().Add(-time.Minute))),
			}},
		},
		create: []client.Object{delegating("waits-corp", "waits-corp")},
	}
	rows, err := conditions.Table(root())
	must(t, err)
	for _, row := range rows {
		_, here := cases[row.Name()]
		_, there := elsewhere()[row.Name()]
		if here && there || row.Waits() != (here || there) {
			t.Errorf("%s: waits %t, tested here %t, elsewhere %t", row.Name(), row.Waits(), here, there)
		}
	}
	names := slices.Sorted(maps.Keys(cases))
	for _, name := range names {
		for _, before := range cases[name].before {
			create(t, before)
		}
		create(t, cases[name].object)
	}
	for _, name := range names {
		eventually(t, name+" is there", func() bool { return hasReason(t, cases[name].object, name) })
	}
	longest := map[string]time.Duration{}
	for _, row := range rows {
		longest[row.Name()] = row.Longest()
	}
	before := slackNow(t, "before", len(names))
	var watching sync.WaitGroup
	took := make([]time.Duration, len(names))
	for i, name := range names {
		cases[name].end(t)
		ended := time.Now()
		watching.Go(func() { took[i] = awaitEnd(t.Context(), cases[name].object, name).Sub(ended) })
	}
	for _, name := range names {
		eventually(t, name+" has ended", func() bool { return !hasReason(t, cases[name].object, name) })
	}
	watching.Wait()
	slack := max(before, slackNow(t, "after", len(names)))
	for i, name := range names {
		if d := took[i]; d > longest[name]+slack {
			t.Errorf("%s ended after %s; docs/conditions.md has %s, and this machine needs up to %s more", name, d, longest[name], slack)
		}
	}
}

// awaitEnd returns when an object was seen without the condition of a name such as
// OAuth2Client/Suspended.
func awaitEnd(ctx context.Context, o client.Object, name string) time.Time {
	_, reason, _ := strings.Cut(name, "/")
	o, _ = o.DeepCopyObject().(client.Object)
	for ; ctx.Err() == nil; time.Sleep(50 * time.Millisecond) {
		if err := cluster.Get(ctx, client.ObjectKeyFromObject(o), o); err == nil && !carries(o, reason) {
			break
		}
	}
	return time.Now()
}

func carries(o client.Object, reason string) bool {
	return slices.ContainsFunc(conditionsIn(o), func(c metav1.Condition) bool { return c.Reason == reason })
}

// end ends the cause of the condition.
func (c waitCase) end(t *testing.T) {
	t.Helper()
	for _, o := range c.create {
		create(t, o)
	}
	if c.remove != nil {
		must(t, cluster.Delete(t.Context(), c.remove))
		// a namespace takes its time
		eventually(t, c.remove.GetName()+" is gone", func() bool {
			return apierrors.IsNotFound(cluster.Get(t.Context(), client.ObjectKeyFromObject(c.remove), c.remove))
		})
	}
	if c.change != nil {
		c.change(t)
	}
}

// slackNow is how much longer than on an idle machine something may take: the time in which this
// one has the manager reconcile a few edits, as many times as there are cases that end at once.
// What else the machine does changes, so that a test asks before and after.
func slackNow(t *testing.T, when string, cases int) time.Duration {
	t.Helper()
	const edits = 5
	began := time.Now()
	for i := range edits {
		create(t, newIn("waits-slack", fmt.Sprint(when, "-", i)))
	}
	return 4*time.Second + time.Since(began)/edits*time.Duration(cases)/4
}

// create creates an object and its namespace, and waits until the manager has reconciled it. The
// policies end with the test.
func create(t *testing.T, o client.Object) {
	t.Helper()
	if o.GetNamespace() != "" {
		makeNamespace(t, o.GetNamespace(), nil)
	}
	must(t, cluster.Create(t.Context(), o))
	switch o := o.(type) {
	case *v1alpha1.OAuth2Policy:
		t.Cleanup(func() { _ = cluster.Delete(t.Context(), o) })
		inForce(t, o)
	case *v1alpha1.OAuth2TrustedIssuer:
		t.Cleanup(func() { _ = cluster.Delete(context.Background(), o) })
		eventually(t, "the manager has looked at OAuth2TrustedIssuer "+o.Name, func() bool {
			must(t, cluster.Get(t.Context(), client.ObjectKeyFromObject(o), o))
			return len(conditionsIn(o)) > 0
		})
	case *v1alpha1.OAuth2Client, *v1alpha1.OAuth2Token, *v1alpha1.OAuth2Resource:
		eventually(t, fmt.Sprintf("the manager has looked at %T %s/%s", o, o.GetNamespace(), o.GetName()), func() bool {
			must(t, cluster.Get(t.Context(), client.ObjectKeyFromObject(o), o))
			return len(conditionsIn(o)) > 0
		})
	}
}

func conditionsIn(o client.Object) []metav1.Condition {
	switch o := o.(type) {
	case *v1alpha1.OAuth2Client:
		return o.Status.Conditions
	case *v1alpha1.OAuth2Token:
		return o.Status.Conditions
	case *v1alpha1.OAuth2Resource:
		return o.Status.Conditions
	case *v1alpha1.TokenRevocation:
		return o.Status.Conditions
	case *v1alpha1.OAuth2TrustedIssuer:
		return o.Status.Conditions
	}
	return nil
}

// hasReason reports whether an object has a condition with the reason in a name such as
// OAuth2Client/Suspended.
func hasReason(t *testing.T, o client.Object, name string) bool {
	t.Helper()
	must(t, cluster.Get(t.Context(), client.ObjectKeyFromObject(o), o))
	_, reason, _ := strings.Cut(name, "/")
	return carries(o, reason)
}

// TestAResourceThatSelectsTooManyNamespacesWaitsForFewer labels more namespaces than one record can
// name, and then takes the label from some.
func TestAResourceThatSelectsTooManyNamespacesWaitsForFewer(t *testing.T) {
	if testing.Short() {
		t.Skip("make long")
	}
	const many, fewer = 1_200, 300
	label := map[string]string{installation.ProtectedLabel: "waits"}
	each := func(n int, do func(namespace *corev1.Namespace) error) {
		var workers errgroup.Group
		workers.SetLimit(16)
		for i := range n {
			workers.Go(func() error {
				return do(&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("waits-%057d", i), Labels: label}})
			})
		}
		must(t, workers.Wait())
	}
	each(many, func(namespace *corev1.Namespace) error { return cluster.Create(t.Context(), namespace) })
	r := resourceWith("waits-size", "api", func(spec *v1alpha1.OAuth2ResourceSpec) {
		spec.Grants = []v1alpha1.ResourceGrant{{
			From: v1alpha1.GrantSource{NamespaceSelector: v1alpha1.LabelMatch{
				MatchLabels: map[string]v1alpha1.LabelValue{installation.ProtectedLabel: "waits"},
			}},
			Scopes: []v1alpha1.Scope{"s"},
		}}
	})
	create(t, r)
	const name = "OAuth2Resource/" + v1alpha1.ReasonTooLarge
	eventually(t, name+" is there", func() bool { return hasReason(t, r, name) })
	each(fewer, func(namespace *corev1.Namespace) error {
		return cluster.Patch(t.Context(), namespace, client.RawPatch(types.MergePatchType, []byte(`{"metadata":{"labels":{"`+installation.ProtectedLabel+`":null}}}`)))
	})
	eventually(t, name+" has ended", func() bool { return !hasReason(t, r, name) })
}
