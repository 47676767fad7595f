// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package revocation_test

import (
	"bufio"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/internal/jws"
	"github.com/hallpass-dev/hallpass/internal/loginport"
	"github.com/hallpass-dev/hallpass/test/kit/installation"
	"github.com/hallpass-dev/hallpass/test/kit/issuers"
	"github.com/hallpass-dev/hallpass/test/kit/world"
)

const (
	loginURL       = "https://login.example.com"
	personIssuer   = "https://people.example.org"
	redirectURI    = "https://portal.example.com/callback"
	peopleOf       = "people"
	loginNamespace = "hallpass-login"

	// loginRate is how many persons log in each second.
	loginRate = 10
	// maxLiveRedemptions is how many redemptions may exist at that rate.
	maxLiveRedemptions = 4000
	// redemptionsGone is how long after the last login none may exist: a code is valid for a
	// minute, is kept for five more, and deleted with those of the ten seconds around it.
	redemptionsGone = 6*time.Minute + 20*time.Second
	// maxHeapGrowth is how much more of the heap of a replica may be in use at the end of the
	// logins than at their beginning: the signatures of the tokens that it issued, of which it
	// remembers 12 MiB, and no more.
	maxHeapGrowth = 12 << 20
	// codesOfRound are fewer codes than may be redeemed at once.
	codesOfRound = 2500
)

// people are persons who log in at three replicas for the clients of a namespace.
type people struct {
	t        *testing.T
	replicas []*replica
	clients  []world.Caller
	api      string
	signer   *jws.Signer
	token    string // of the ServiceAccount of login
	persons  atomic.Int64
}

// newPeople starts three replicas with the port for login, which the test plays.
func newPeople(t *testing.T, clients int) *people {
	t.Helper()
	p := &people{t: t, signer: issuers.NewSigner(t, jws.ES256)}
	for _, name := range []string{peopleOf, loginNamespace} {
		must(t, client.IgnoreAlreadyExists(cluster.Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}})))
	}
	p.create(&corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: loginNamespace, Name: "login"}})
	kubeconfig := kubeconfigOfServer(t)
	for range 3 {
		r := &replica{address: freeAddress(t), ops: freeAddress(t), login: freeAddress(t), kubeconfig: kubeconfig, log: t.TempDir() + "/log"}
		r.start(t)
		t.Cleanup(func() { r.kill(t) })
		p.replicas = append(p.replicas, r)
	}
	key, err := p.signer.Public().JWK()
	must(t, err)
	keys, err := json.Marshal(map[string]any{"keys": []any{key}})
	must(t, err)
	from := v1alpha1.NamespaceSource{Namespaces: []v1alpha1.NamespaceName{peopleOf}}
	p.create(&v1alpha1.OAuth2Policy{ObjectMeta: metav1.ObjectMeta{Name: peopleOf}, Spec: v1alpha1.OAuth2PolicySpec{
		NamespaceSelector: v1alpha1.LabelMatch{MatchLabels: map[string]v1alpha1.LabelValue{corev1.LabelMetadataName: peopleOf}},
		GrantTypes:        []v1alpha1.GrantType{v1alpha1.GrantAuthorizationCode},
		RedirectURIs:      []v1alpha1.RedirectURIPattern{redirectURI},
	}})
	p.create(&v1alpha1.OAuth2TrustedIssuer{ObjectMeta: metav1.ObjectMeta{Name: peopleOf}, Spec: v1alpha1.OAuth2TrustedIssuerSpec{
		Issuer: personIssuer, Uses: []v1alpha1.IssuerUse{v1alpha1.IssuerPerson}, Namespaces: []v1alpha1.IssuerNamespaces{{From: from}},
		Keys:  v1alpha1.IssuerKeysSpec{Source: v1alpha1.KeysInline, JWKS: string(keys)},
		Login: v1alpha1.IssuerLoginSpec{ClientID: "hallpass", ClientSecretRef: v1alpha1.LoginSecretReference{Name: peopleOf}},
	}})
	api := &v1alpha1.OAuth2Resource{ObjectMeta: metav1.ObjectMeta{Namespace: peopleOf, Name: "api"}, Spec: v1alpha1.OAuth2ResourceSpec{
		Scopes: []v1alpha1.ResourceScope{{Name: "call"}},
		Grants: []v1alpha1.ResourceGrant{{
			From: v1alpha1.GrantSource{Namespaces: []v1alpha1.NamespaceName{peopleOf}}, Scopes: []v1alpha1.Scope{"call"},
			Subjects: []v1alpha1.GrantSubject{v1alpha1.SubjectUser},
		}},
	}}
	p.create(api)
	world.Eventually(t, "each token server reads tokens of persons", func() bool {
		must(t, cluster.Get(t.Context(), client.ObjectKeyFromObject(api), api))
		p.api = api.Status.Identifier
		return meta.IsStatusConditionTrue(api.Status.Conditions, v1alpha1.ConditionGrantsComplete)
	})
	for i := range clients {
		c := world.NewClient(fmt.Sprintf("portal-%d", i))
		c.Namespace, c.Spec.Scopes = peopleOf, nil
		c.Spec.GrantTypes = []v1alpha1.GrantType{v1alpha1.GrantAuthorizationCode}
		c.Spec.RedirectURIs = []v1alpha1.RedirectURI{redirectURI}
		c.Spec.Access = []v1alpha1.Access{{ResourceNamespace: peopleOf, ResourceName: "api", Scopes: []v1alpha1.Scope{"call"}}}
		c.Spec.RefreshTokens = v1alpha1.RefreshTokensSpec{Lifetime: "8h"}
		p.create(c)
		var secret corev1.Secret
		world.Eventually(t, "a client is ready", func() bool {
			must(t, cluster.Get(t.Context(), client.ObjectKeyFromObject(c), c))
			return meta.IsStatusConditionTrue(c.Status.Conditions, v1alpha1.ConditionReady)
		})
		must(t, cluster.Get(t.Context(), client.ObjectKeyFromObject(c), &secret))
		p.clients = append(p.clients, world.Caller{ID: string(secret.Data["client_id"]), Secret: string(secret.Data["client_secret"])})
	}
	seconds := int64(3600)
	request := &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{
		Audiences: []string{loginport.Audience(hallpass.Issuer.String())}, ExpirationSeconds: &seconds,
	}}
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: loginNamespace, Name: "login"}}
	must(t, cluster.SubResource("token").Create(t.Context(), account, request))
	p.token = request.Status.Token
	return p
}

// create creates an object that goes with the test.
func (p *people) create(o client.Object) {
	p.t.Helper()
	must(p.t, cluster.Create(p.t.Context(), o))
	p.t.Cleanup(func() { must(p.t, client.IgnoreNotFound(cluster.Delete(context.Background(), o))) })
}

// grant is a code of a client, and what redeems it.
type grant struct {
	client         world.Caller
	code, verifier string
}

// logIn has another person log in at a replica, for a client. A replica that cannot decide now is
// asked again.
func (p *people) logIn(ctx context.Context, r *replica, of world.Caller) (grant, error) {
	person := p.persons.Add(1)
	port := loginport.Client{BaseURL: "http://" + r.login, HTTP: caller, Token: func() (string, error) { return p.token, nil }}
	source := fmt.Sprintf("198.%d.%d.%d", 18+person>>16&1, person>>8&255, person&255)
	verifier := rand.Text() + rand.Text()
	sum := sha256.Sum256([]byte(verifier))
	query := url.Values{
		"response_type": {"code"}, "client_id": {of.ID}, "redirect_uri": {redirectURI}, "state": {"s"}, "resource": {p.api},
		"code_challenge": {base64.RawURLEncoding.EncodeToString(sum[:])}, "code_challenge_method": {"S256"},
	}.Encode()
	begun, err := patiently(func() (loginport.BeginAnswer, error) {
		return port.Begin(ctx, loginport.BeginRequest{Query: query, Source: source})
	})
	if err != nil || begun.Attempt == nil {
		return grant{}, fmt.Errorf("begin a login: %+v: %w", begun, err)
	}
	now := time.Now()
	payload, err := json.Marshal(map[string]any{
		"iss": personIssuer, "aud": "hallpass", "sub": fmt.Sprint("person-", person), "nonce": begun.Attempt.Nonce,
		"iat": now.Unix(), "exp": now.Add(time.Minute).Unix(),
	})
	if err != nil {
		return grant{}, err
	}
	token, err := p.signer.Sign("JWT", payload)
	if err != nil {
		return grant{}, err
	}
	finished, err := patiently(func() (loginport.FinishAnswer, error) {
		return port.Finish(ctx, loginport.FinishRequest{Ticket: begun.Attempt.Ticket, IDToken: loginport.Opaque(token), Source: source})
	})
	if err != nil {
		return grant{}, err
	}
	back, err := url.Parse(string(finished.Redirect))
	if err != nil || back.Query().Get("code") == "" {
		return grant{}, fmt.Errorf("finish a login: %+v: %w", finished.Refusal, err)
	}
	return grant{of, back.Query().Get("code"), verifier}, nil
}

// patiently asks again while a token server cannot decide.
func patiently[A any](ask func() (A, error)) (A, error) {
	for began := time.Now(); ; {
		answer, err := ask()
		if _, unavailable := errors.AsType[*loginport.UnavailableError](err); !unavailable || time.Since(began) > patience {
			return answer, err
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// redeem redeems a code at a replica.
func (r *replica) redeem(g grant) (status int, code string, err error) {
	status, body, err := r.post(g.client, "/oauth2/token", url.Values{
		"grant_type": {"authorization_code"}, "code": {g.code}, "redirect_uri": {redirectURI}, "code_verifier": {g.verifier},
	})
	if err != nil {
		return 0, "", err
	}
	var answer struct {
		Code  string `json:"error"`
		Token string `json:"access_token"`
	}
	if err := json.Unmarshal(body, &answer); err != nil || (status == http.StatusOK) != (answer.Token != "") {
		return 0, "", fmt.Errorf("redeem a code: %d %s: %w", status, body, err)
	}
	return status, answer.Code, nil
}

// Each of 10,000 codes is sent to three replicas at once, which share nothing but the API server.
// One of them answers with tokens. make logins is the measurement.
func TestEachCodeIsRedeemedOnce(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes a minute")
	}
	codes := world.Count(t, "HALLPASS_CODES", 1000)
	p := newPeople(t, 4)
	const workers = 16
	began := time.Now()
	var never, several, retries atomic.Int64
	for first := 0; first < codes; first += codesOfRound {
		each(workers, min(codesOfRound, codes-first), func(i int) {
			g, err := p.logIn(t.Context(), p.replicas[i%3], p.clients[i%len(p.clients)])
			if err != nil {
				t.Error(err)
				return
			}
			won, again := p.race(g)
			retries.Add(again)
			switch {
			case won == 0:
				never.Add(1)
			case won > 1:
				several.Add(1)
			}
		})
		if t.Failed() {
			t.FailNow()
		}
		// what exists at once is bounded, and these codes are not used again
		must(t, cluster.DeleteAllOf(t.Context(), &v1alpha1.TokenRevocation{}, client.InNamespace(installation.RegistryNamespace)))
	}
	t.Logf("%d codes at three replicas at once, in %s: %d redeemed more than once, %d never; %d times 503", codes, time.Since(began).Round(time.Second),
		several.Load(), never.Load(), retries.Load())
	if several.Load() > 0 || never.Load() > 0 {
		t.Errorf("%d codes were redeemed more than once, and %d never", several.Load(), never.Load())
	}
}

// race sends a code to each replica, and again while one cannot decide. It returns how many
// answered with tokens, and how often one could not decide.
func (p *people) race(g grant) (won, again int64) {
	var winners, retries atomic.Int64
	var racing sync.WaitGroup
	for _, r := range p.replicas {
		racing.Go(func() {
			for began := time.Now(); time.Since(began) < patience; {
				status, code, err := r.redeem(g)
				switch {
				case err != nil:
					p.t.Error(err)
				case status == http.StatusServiceUnavailable, status == http.StatusTooManyRequests:
					retries.Add(1)
					time.Sleep(100 * time.Millisecond)
					continue
				case status == http.StatusOK:
					winners.Add(1)
				case code != "invalid_grant":
					p.t.Errorf("a code is refused: %d %s", status, code)
				}
				return
			}
			p.t.Error("a replica does not decide")
		})
	}
	racing.Wait()
	return winners.Load(), retries.Load()
}

// each does something with each number by some workers.
func each(workers, n int, do func(i int)) {
	var next atomic.Int64
	var working sync.WaitGroup
	for range workers {
		working.Go(func() {
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				do(i)
			}
		})
	}
	working.Wait()
}

// Ten persons log in each second, at one replica, and their client redeems the code at another one.
// None fails; what is stored of it is bounded, and gone six minutes after the last login.
func TestLoginsLeaveNothingBehind(t *testing.T) {
	if testing.Short() {
		t.Skip("what is left of a login is deleted six minutes later")
	}
	length := world.Duration(t, "HALLPASS_LOGINS", time.Minute)
	p := newPeople(t, 1)
	// what the tests before have left
	must(t, cluster.DeleteAllOf(t.Context(), &v1alpha1.TokenRevocation{}, client.InNamespace(installation.RegistryNamespace)))
	n := int(length.Seconds() * loginRate)
	began := time.Now()
	var failed atomic.Int64
	var logging sync.WaitGroup
	most, heaps := 0, make([][]float64, 0, n/loginRate)
	latencies := make([]time.Duration, n)
	for i := range n {
		time.Sleep(time.Until(began.Add(time.Duration(i) * time.Second / loginRate)))
		logging.Go(func() {
			at := time.Now()
			g, err := p.logIn(t.Context(), p.replicas[i%3], p.clients[0])
			status := 0
			if err == nil {
				status, _, err = p.replicas[(i+1)%3].redeem(g)
			}
			latencies[i] = time.Since(at)
			if (err != nil || status != http.StatusOK) && failed.Add(1) == 1 {
				t.Errorf("login %d is the first that fails: %d %v", i, status, err)
			}
		})
		if i%(10*loginRate) == 0 {
			most = max(most, p.redemptions())
			heaps = append(heaps, p.heaps())
		}
	}
	logging.Wait()
	ended := time.Now()
	most = max(most, p.redemptions())
	heaps = append(heaps, p.heaps())
	slices.Sort(latencies)
	growth := growthOf(heaps)
	left := p.redemptions()
	for ; left > 0 && time.Since(ended) < redemptionsGone; left = p.redemptions() {
		time.Sleep(2 * time.Second)
	}
	t.Logf("%d logins in %s, %d failed, each in %s (median) and %s (p99) from the authorization request to the tokens; at most %d redemptions live, and %d %s after the last; "+
		"the heap of a replica in use grew by %.1f MiB", n, ended.Sub(began).Round(time.Second), failed.Load(), latencies[n/2].Round(time.Millisecond),
		latencies[n*99/100].Round(time.Millisecond), most, left, time.Since(ended).Round(time.Second), growth/(1<<20))
	if failed.Load() > 0 || most > maxLiveRedemptions || left > 0 || growth > maxHeapGrowth {
		t.Errorf("failed %d of 0, live %d of %d, left %d of 0, grown by %.0f bytes of %d", failed.Load(), most, maxLiveRedemptions, left, growth, maxHeapGrowth)
	}
}

// redemptions is how many the API server has.
func (p *people) redemptions() int {
	p.t.Helper()
	var all v1alpha1.TokenRevocationList
	must(p.t, cluster.List(p.t.Context(), &all, client.InNamespace(installation.RegistryNamespace)))
	n := 0
	for i := range all.Items {
		if strings.HasPrefix(all.Items[i].Name, "redeemed-") {
			n++
		}
	}
	return n
}

// heaps is what of the heap of each replica was in use at its last garbage collection.
func (p *people) heaps() []float64 {
	p.t.Helper()
	heaps := make([]float64, len(p.replicas))
	for i, r := range p.replicas {
		request, err := http.NewRequestWithContext(p.t.Context(), http.MethodGet, "http://"+r.ops+"/metrics", http.NoBody)
		must(p.t, err)
		response, err := caller.Do(request)
		must(p.t, err)
		for lines := bufio.NewScanner(response.Body); lines.Scan(); {
			if value, found := strings.CutPrefix(lines.Text(), "go_gc_heap_live_bytes "); found {
				heaps[i], err = strconv.ParseFloat(value, 64)
				must(p.t, err)
			}
		}
		must(p.t, response.Body.Close())
		if heaps[i] == 0 {
			p.t.Fatal("the metrics have no heap in use")
		}
	}
	return heaps
}

// growthOf is by how much the least of the last third exceeds the least of the first one, for the
// replica where it does most.
func growthOf(heaps [][]float64) (most float64) {
	third := max(1, len(heaps)/3)
	for replica := range heaps[0] {
		least := func(samples [][]float64) float64 {
			lowest := samples[0][replica]
			for _, sample := range samples {
				lowest = min(lowest, sample[replica])
			}
			return lowest
		}
		most = max(most, least(heaps[len(heaps)-third:])-least(heaps[:third]))
	}
	return most
}
