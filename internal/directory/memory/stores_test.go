// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package memory

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/hallpass-dev/hallpass/internal/keyring"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
	"github.com/hallpass-dev/hallpass/internal/registration"
	"github.com/hallpass-dev/hallpass/internal/restore"
	"github.com/hallpass-dev/hallpass/internal/revocation"
)

// lost is a list of a store that was restored since noon.
var lost = restore.List{Version: 200, Lost: noon, Restores: 1}

func TestAnEventReplacesOneObject(t *testing.T) {
	f := filled(t)
	suspended := reporting
	suspended.Suspended = true
	f.Registry.Apply(clientRecord(t, suspended))
	if c := f.Record(reporting.ID).Client; c == nil || !c.Suspended {
		t.Errorf("the registration: %+v", c)
	}
	owner := clientObject(reporting)
	owner.Owner.Suspended = true
	f.Clients.Apply(owner)
	if o := f.Record(reporting.ID).Owner; o == nil || !o.Suspended {
		t.Errorf("the OAuth2Client: %+v", o)
	}
	f.Clients.Remove(owner)
	f.Tokens.Remove(tokenObject(printer))
	if o := f.Record(reporting.ID).Owner; o != nil || f.Tokens.Lookup(oauth2.OpaqueID(printer.UID)).Owner != nil {
		t.Errorf("a deleted OAuth2Client is there: %+v; or a deleted OAuth2Token", o)
	}
	for _, r := range []Record{clientRecord(t, reporting), clientRecord(t, pod), resourceRecord(t, orders), tokenRecord(t, 7, printer)} {
		f.Registry.Remove(r)
	}
	if f.Record(reporting.ID).Client != nil || f.Registry.Resources.Identified(orders.Identifier) != nil || len(slices.Collect(f.Registry.ClientEpochs())) > 0 ||
		f.Tokens.Lookup(oauth2.OpaqueID(printer.UID)) != (oauth2.MintedRecord{}) || f.Registry.Keys.Ring().Empty() {
		t.Error("what was deleted is there, or the signing keys are not")
	}
	f.Revocations.Remove(Revocation{Name: "all"})
	if before := f.Revocations.State.RevokedBefore(reporting.ID, "shop"); !before.IsZero() || !f.Revocations.State.Used(used, noon) {
		t.Errorf("a deleted selector revokes before %s, or a batch is gone with its object", before)
	}
}

func TestAListReplacesAllObjects(t *testing.T) {
	f := filled(t)
	f.Registry.Replace(none[Record], restore.List{Version: 110})
	f.Clients.Replace(none[Client], restore.List{Version: 110})
	f.Tokens.Replace(none[Token], restore.List{Version: 110})
	f.Revocations.Replace(none[Revocation], restore.List{Version: 110})
	if f.Record(reporting.ID).Client != nil || f.Registry.Resources.Identified(orders.Identifier) != nil || len(slices.Collect(f.Registry.ClientEpochs())) > 0 ||
		f.Tokens.Lookup(oauth2.OpaqueID(printer.UID)).Minted != nil || f.Registry.Keys.Ring().Empty() {
		t.Error("what is not listed is there, or the signing keys are not")
	}
	if before := f.Revocations.State.RevokedBefore(reporting.ID, "shop"); !before.IsZero() || !f.Revocations.State.Used(used, noon) {
		t.Errorf("a selector that is not listed revokes before %s, or a batch is gone with its object", before)
	}
	// three OAuth2Clients, an OAuth2Token and its token
	if n := len(f.tombstones.all()); n != 5 {
		t.Errorf("%d tombstones", n)
	}
}

// A record that cannot be read, or has the name of another one, refuses what it granted before.
func TestAnUnreadableRecordGrantsNothing(t *testing.T) {
	f := filled(t)
	before := f.Registry.Keys.Ring()
	other := reporting
	other.ID = "shop.other"
	data, err := registration.Encode(registration.Registration{Client: other})
	must(t, err)
	for name, c := range map[string]struct {
		name, kind string
		data       map[string][]byte
	}{
		"a registration":               {registration.SecretName(reporting.ID), registration.SecretType, nil},
		"the registration of another":  {registration.SecretName(pod.ID), registration.SecretType, data},
		"the record of a resource":     {registration.ResourceSecretName(orders.Identifier), registration.ResourceSecretType, nil},
		"the record of an OAuth2Token": {registration.TokenSecretName(printer.UID), registration.TokenSecretType, nil},
		"the signing keys":             {registration.KeysSecretName, registration.KeysSecretType, nil},
	} {
		r, err := DecodeRecord(c.name, c.kind, 8, c.data)
		if err == nil || c.kind != registration.KeysSecretType && !errors.Is(err, registration.ErrUnreadable) || r.Client() != nil || r.Resource() != nil || r.Minted() != nil || r.Ring() != nil {
			t.Errorf("%s is read: %v", name, err)
		}
		f.Registry.Apply(r)
	}
	if f.Record(reporting.ID).Client != nil || f.Record(pod.ID).Client != nil || f.Registry.Resources.Identified(orders.Identifier) != nil ||
		f.Tokens.Lookup(oauth2.OpaqueID(printer.UID)).Minted != nil {
		t.Error("an unreadable record grants something")
	}
	if now := f.Registry.Keys.Ring(); now.Empty() || now.Keys()[0].ID() != before.Keys()[0].ID() {
		t.Error("unreadable signing keys replace those of before")
	}
	for name, kind := range map[string]string{"other-keys": registration.KeysSecretType, "unknown": "Opaque"} {
		r, err := DecodeRecord(name, kind, 8, nil)
		must(t, err)
		f.Registry.Apply(r)
	}
}

// A resource that was made anew may have another identifier, and its records come in any order.
func TestAResourceHasTheRecordThatCameLast(t *testing.T) {
	f := filled(t)
	renamed := orders
	renamed.Identifier = "https://orders.example.com"
	f.Registry.Apply(resourceRecord(t, renamed))
	f.Registry.Remove(resourceRecord(t, orders))
	name := oauth2.ObjectName{Namespace: orders.Namespace, Name: orders.Name}
	if got := f.Registry.Resources.Named(name); got == nil || got.Identifier != renamed.Identifier || f.Registry.Resources.Identified(orders.Identifier) != nil {
		t.Errorf("got %+v", got)
	}
}

func TestOnlyTheWatchDecidesWhoSigns(t *testing.T) {
	f := newFixture()
	looked, err := keyring.New(noon)
	must(t, err)
	if got := f.Registry.Learn(looked); got.Empty() || f.Registry.Keys.Ring().Empty() {
		t.Error("the first ring that was looked up is not used")
	}
	brought, err := keyring.New(noon)
	must(t, err)
	f.Registry.Apply(keysRecord(t, brought))
	for _, ring := range []keyring.Ring{looked, brought} {
		if _, err := f.Registry.Keys.Ring().VerificationKey(ring.Keys()[0].ID(), noon); err != nil {
			t.Errorf("a key does not verify: %v", err)
		}
	}
}

func TestTheIssuerOfServiceAccountsIsTheOneThatWasReadLast(t *testing.T) {
	f := newFixture()
	if f.Trust().Issuer != "" {
		t.Error("there is an issuer before it was read")
	}
	trust, err := ReadTrust([]byte(testDiscovery), []byte(testKeys))
	must(t, err)
	f.SetTrust(trust)
	f.TrustSaved(&Snapshot{own: own{trust: &Trust{}}})
	if f.Trust().Issuer != "https://cluster.test" {
		t.Errorf("trusts %q", f.Trust().Issuer)
	}
	for name, broken := range map[string][2]string{
		"no document":      {"", testKeys},
		"no issuer":        {"{}", testKeys},
		"no keys":          {testDiscovery, ""},
		"an empty key set": {testDiscovery, `{"keys":[]}`},
		"no key of use":    {testDiscovery, `{"keys":[{"kty":"EC","crv":"P-384"}]}`},
	} {
		if _, err := ReadTrust([]byte(broken[0]), []byte(broken[1])); err == nil && name != "an empty key set" {
			t.Errorf("%s: read", name)
		}
	}
}

// What an OAuth2Client had that denied is remembered when a restored list lacks it.
func TestARestoredListOfClientsQuarantinesTheirTokens(t *testing.T) {
	for name, c := range map[string]struct {
		lately func(f *fixture)
		now    func(c *Client)
		// before is an instant before which tokens are revoked, and after one from which on
		// they are not.
		before, after time.Time
		isRefused     bool
		waiting       bool
	}{
		"nothing happened": {after: noon},
		"it was suspended": {
			lately: func(f *fixture) { f.Clients.Apply(changed(func(c *Client) { c.Owner.Suspended = true })) },
			before: noon.Add(9 * time.Minute), after: noon.Add(11 * time.Minute),
		},
		"it was terminating": {
			lately: func(f *fixture) { f.Clients.Apply(changed(func(c *Client) { c.Owner.Terminating = true })) },
			before: noon.Add(9 * time.Minute), after: noon.Add(11 * time.Minute),
		},
		"it was deleted": {
			lately: func(f *fixture) { f.Clients.Remove(clientObject(reporting)) },
			before: noon.Add(9 * time.Minute), after: noon.Add(11 * time.Minute),
		},
		"it was deleted, and the proof of it waits": {
			lately: func(f *fixture) { f.Clients.Remove(clientObject(reporting)) }, waiting: true,
			before: noon.Add(9 * time.Minute), after: noon.Add(11 * time.Minute), isRefused: true,
		},
		"it was replaced": {
			lately: func(f *fixture) { f.Clients.Apply(changed(func(c *Client) { c.Owner.UID = "another" })) },
			before: noon.Add(9 * time.Minute), after: noon.Add(11 * time.Minute),
		},
		"its tokens were revoked": {
			lately: func(f *fixture) {
				f.Clients.Apply(changed(func(c *Client) { c.Owner.RevokedBefore = noon.Add(time.Minute) }))
			},
			before: noon.Add(30 * time.Second), after: noon.Add(2 * time.Minute),
		},
		"it is terminating in both": {
			lately: func(f *fixture) { f.Clients.Apply(changed(func(c *Client) { c.Owner.Terminating = true })) },
			now:    func(c *Client) { c.Owner.Terminating = true }, after: noon, isRefused: true,
		},
		"it is a new one": {
			lately: func(f *fixture) { f.Clients.Apply(changed(func(c *Client) { c.Owner.UID = "another" })) },
			now:    func(c *Client) { c.Owner.UID, c.CreatedAt = "new", noon.Add(time.Minute) }, after: noon,
		},
	} {
		t.Run(name, func(t *testing.T) {
			f := filled(t)
			f.Revocations.Remove(Revocation{Name: "all"})
			if c.lately != nil {
				c.lately(f)
			}
			f.now = noon.Add(10 * time.Minute)
			list := lost
			list.Waiting = c.waiting
			object := changed(func(o *Client) {
				if c.now != nil {
					c.now(o)
				}
			})
			f.Clients.Replace(slices.Values([]Client{object, clientObject(pod)}), list)
			revoked := func(issued time.Time) bool {
				return f.Revocations.State.Revoked(oauth2.Claims{ClientID: reporting.ID, IssuedAt: issued}, "shop", f.now)
			}
			if !c.before.IsZero() && !revoked(c.before) || revoked(c.after) {
				t.Errorf("revoked before %s: %t, before %s: %t", c.before, revoked(c.before), c.after, revoked(c.after))
			}
			if o := f.Record(reporting.ID).Owner; o == nil || o.Terminating != c.isRefused {
				t.Errorf("got %+v", o)
			}
			f.now = f.now.Add(quarantineTime + time.Minute)
			f.Release()
			if revoked(c.before) || revoked(noon) {
				t.Error("the quarantine does not end")
			}
		})
	}
}

// changed is the OAuth2Client of reporting with a change.
func changed(change func(*Client)) Client {
	c := clientObject(reporting)
	change(&c)
	return c
}

func TestARestoredListOfTokensQuarantinesThem(t *testing.T) {
	for name, c := range map[string]struct {
		lately func(f *fixture, token Token)
		listed func(token *Token)
		// isRefused is whether the OAuth2Token is refused at once, and after two hours.
		isRefused, remains bool
		// hasNoRecord means that the record in memory is that of another one.
		hasNoRecord bool
		list        restore.List
	}{
		"nothing happened": {list: lost},
		"it was deleted":   {lately: (*fixture).delete, isRefused: true, remains: true, list: lost},
		"one that is not Fixed was deleted": {
			lately: (*fixture).delete, listed: func(token *Token) { token.Fixed = false }, isRefused: true, list: lost,
		},
		"it was terminating": {
			lately: func(f *fixture, token Token) {
				token.Owner = &oauth2.MintedOwner{UID: token.Owner.UID, Terminating: true}
				f.Tokens.Apply(token)
			},
			isRefused: true, remains: true, list: lost,
		},
		"it was deleted, and the proof of it waits": {
			lately: (*fixture).delete, isRefused: true, remains: true, list: restore.List{Version: 200, Lost: noon, Waiting: true},
		},
		"it was not known, and is old": {
			listed: func(token *Token) {
				token.Owner = &oauth2.MintedOwner{UID: token.Owner.UID + "2"}
			},
			isRefused: true, remains: true, hasNoRecord: true, list: lost,
		},
		"it was replaced": {
			lately: func(f *fixture, token Token) {
				token.Owner = &oauth2.MintedOwner{UID: "another"}
				f.Tokens.Apply(token)
			},
			isRefused: true, remains: true, list: lost,
		},
	} {
		t.Run(name, func(t *testing.T) {
			f := filled(t)
			token := tokenObject(printer)
			if c.lately != nil {
				c.lately(f, token)
			}
			if c.listed != nil {
				c.listed(&token)
			}
			f.now = noon.Add(10 * time.Minute)
			f.Tokens.Replace(slices.Values([]Token{token}), c.list)
			isRefused := func() bool { return f.Tokens.Lookup(oauth2.OpaqueID(printer.UID)).Owner.Terminating }
			if isRefused() != c.isRefused {
				t.Errorf("at once it is refused: %t", isRefused())
			}
			if (c.isRefused && !c.hasNoRecord) != f.Revocations.State.Revoked(oauth2.Claims{ID: "jti", IssuedAt: noon}, "elsewhere", f.now) {
				t.Error("its token of before is good, or one that was not gone is not")
			}
			f.now = f.now.Add(quarantineTime)
			f.Release()
			if isRefused() != c.remains {
				t.Errorf("after two hours it is refused: %t", isRefused())
			}
		})
	}
}

func (f *fixture) delete(token Token) { f.Tokens.Remove(token) }

// A record that is written anew after the restore was noticed counts, whichever of the two kinds is
// listed first.
func TestARecordWrittenAnewEndsAQuarantine(t *testing.T) {
	next := printer
	next.Tokens = append(slices.Clone(printer.Tokens), oauth2.MintedToken{
		ID: "next", Digest: oauth2.Digest{3}, Audience: "a", Scopes: []string{"read"}, IssuedAt: noon.Add(10 * time.Minute), ExpiresAt: noon.Add(time.Hour),
	})
	listRecords := func(t *testing.T, f *fixture) {
		f.Registry.Replace(slices.Values([]Record{clientRecord(t, reporting), tokenRecord(t, 7, printer)}), lost)
	}
	listObjects := func(_ *testing.T, f *fixture) { f.Tokens.Replace(slices.Values([]Token{tokenObject(printer)}), lost) }
	write := func(t *testing.T, f *fixture) { f.Registry.Apply(tokenRecord(t, 210, next)) }
	for name, steps := range map[string][]func(*testing.T, *fixture){
		"objects, records, an event": {listObjects, listRecords, write},
		"records, objects, an event": {listRecords, listObjects, write},
		"records, an event, objects": {listRecords, write, listObjects},
	} {
		t.Run(name, func(t *testing.T) {
			f := filled(t)
			f.delete(tokenObject(printer))
			f.now = noon.Add(10 * time.Minute)
			for _, step := range steps {
				step(t, f)
			}
			got := f.Tokens.Lookup(oauth2.OpaqueID(printer.UID))
			if got.Owner == nil || got.Owner.Terminating || len(got.Minted.Tokens) != 2 {
				t.Errorf("got %+v, %+v", got.Owner, got.Minted)
			}
			if owner := f.Tokens.Judge(tokenObject(printer).Owner, 210); owner.Terminating {
				t.Error("a look-up of the record is refused")
			}
			for id, want := range map[string]bool{"next": false, "jti": true} {
				if got := f.Revocations.State.Revoked(oauth2.Claims{ID: id, IssuedAt: noon}, "elsewhere", f.now); got != want {
					t.Errorf("%s is revoked: %t", id, got)
				}
			}
		})
	}
	if newFixture().Tokens.Judge(nil, 1) != nil {
		t.Error("an owner that is not there is refused")
	}
}

// What an OAuth2Token had before its present tokens was replaced, and is not good again because a
// backup has it.
func TestARestoredRecordRevokesReplacedTokens(t *testing.T) {
	f := filled(t)
	replaced := printer
	replaced.Tokens = slices.Clone(printer.Tokens)
	replaced.Tokens[0].ID = "kept"
	f.Registry.Apply(tokenRecord(t, 110, replaced))
	replaced.Tokens = append(replaced.Tokens, printer.Tokens[0], printer.Tokens[0])
	replaced.Tokens[2].ID, replaced.Tokens[2].IssuedAt = "new", noon.Add(10*time.Minute)
	f.Registry.Replace(slices.Values([]Record{tokenRecord(t, 90, replaced)}), lost)
	for id, want := range map[string]bool{"jti": true, "kept": false, "new": false} {
		if got := f.Revocations.State.Revoked(oauth2.Claims{ID: id, IssuedAt: noon}, "elsewhere", f.now); got != want {
			t.Errorf("%s is revoked: %t", id, got)
		}
	}
}

func TestARestoredListOfRevocationsQuarantinesSelectors(t *testing.T) {
	f := filled(t)
	list := lost
	list.Version = 0 // it proves nothing about the feed
	f.Revocations.Replace(slices.Values([]Revocation{
		{Name: "all", Selector: &revocation.Selector{Namespace: "shop", IssuedBefore: noon.Add(-2 * time.Hour)}},
		{Name: "broken", Unreadable: true, Selector: &revocation.Selector{Namespace: "orders", IssuedBefore: noon}},
	}), list)
	if got := f.Revocations.State.RevokedBefore(reporting.ID, "shop"); !got.Equal(noon.Add(-time.Hour)) {
		t.Errorf("tokens are revoked before %s", got)
	}
	if got := f.Revocations.State.RevokedBefore("orders.api", "orders"); !got.IsZero() {
		t.Errorf("an unreadable TokenRevocation revokes before %s", got)
	}
}

// When the quarantine of their client ends, opaque tokens are revoked by their ids: they may live
// for longer.
func TestAQuarantineThatEndsRevokesOpaqueTokens(t *testing.T) {
	f := filled(t)
	long := printer
	long.Tokens = slices.Clone(printer.Tokens)
	long.Tokens[0].ExpiresAt = noon.Add(90 * 24 * time.Hour)
	jwt := long
	jwt.UID, jwt.Opaque, jwt.Tokens = "jwt", false, slices.Clone(long.Tokens)
	jwt.Tokens[0].ID, jwt.Tokens[0].KeyID = "of a JWT", "kid"
	f.Registry.Apply(tokenRecord(t, 110, long))
	f.Registry.Apply(tokenRecord(t, 111, jwt))
	f.Clients.Remove(clientObject(reporting))
	f.now = noon.Add(10 * time.Minute)
	f.Clients.Replace(slices.Values([]Client{clientObject(reporting)}), lost)
	f.now = f.now.Add(quarantineTime + time.Minute)
	f.Release()
	for id, want := range map[string]bool{"jti": true, "of a JWT": false} {
		if got := f.Revocations.State.Revoked(oauth2.Claims{ID: id, ClientID: reporting.ID, IssuedAt: noon}, "elsewhere", f.now); got != want {
			t.Errorf("%s is revoked: %t", id, got)
		}
	}
}

// An object that was looked up proves something beside what was known when the request was sent.
func TestWhatALookUpProves(t *testing.T) {
	f := filled(t)
	client, token := clientObject(reporting), tokenObject(printer)
	before := f.Clients.Deletions()
	f.now = noon.Add(-time.Hour) // the clock is moved back meanwhile
	f.Clients.Remove(client)
	after := f.Clients.Deletions()
	going := token
	going.Owner = &oauth2.MintedOwner{UID: token.Owner.UID, Terminating: true}
	f.Tokens.Apply(going)
	if uid, isTerminating := f.Tokens.WasTerminating(oauth2.OpaqueID(printer.UID)); uid != "t" || !isTerminating {
		t.Errorf("the OAuth2Token: %q, terminating %t", uid, isTerminating)
	}
	if uid, isTerminating := f.Tokens.WasTerminating("unknown"); uid != "" || isTerminating {
		t.Errorf("an unknown one: %q, terminating %t", uid, isTerminating)
	}
	if !f.Clients.Resurrected(client) || !f.Tokens.Resurrected(token) || f.Tokens.Resurrected(going) || f.Clients.Resurrected(clientObject(pod)) {
		t.Error("what was deleted or terminating is not known, or what was not is")
	}
	if f.Registry.Resurrected(Record{}) || f.Revocations.Resurrected(Revocation{}) {
		t.Error("what only denies proves something")
	}
	for _, c := range []struct {
		asked          Deletions
		wasTerminating bool
		want           restore.Proof
	}{
		{asked: before, want: restore.None}, {asked: before, wasTerminating: true, want: restore.Resurrected}, {asked: after, want: restore.Resurrected},
	} {
		if got := f.Clients.ProofOf(client.Sighting(), c.asked, c.wasTerminating); got != c.want {
			t.Errorf("%+v: %q", c, got)
		}
	}
}

// While the proof that it is back waits, a resurrected object is refused.
func TestAResurrectedObjectIsRefused(t *testing.T) {
	f := filled(t)
	f.Clients.Remove(clientObject(reporting))
	f.delete(tokenObject(printer))
	f.Clients.Apply(clientObject(reporting))
	f.Tokens.Apply(tokenObject(printer))
	if o := f.Record(reporting.ID).Owner; o == nil || !o.Terminating {
		t.Errorf("the OAuth2Client: %+v", o)
	}
	if o := f.Tokens.Lookup(oauth2.OpaqueID(printer.UID)).Owner; o == nil || !o.Terminating {
		t.Errorf("the OAuth2Token: %+v", o)
	}
}

func TestTombstonesAreKeptForADayAndBounded(t *testing.T) {
	now := noon
	d := tombstones{past: func() time.Time { return now }}
	name := func(i int) Place { return placeOf(numbers(int64(i))) }
	none := d.deletions()
	d.add(name(0), TenantOf("shop"))
	one := d.deletions()
	d.add(name(0), TenantOf("shop")) // it does not go twice
	if !d.has(name(0)) || d.state(name(0), one) != restore.Deleted || d.state(name(0), none) != restore.Unknown || d.deletions() != one || d.has(name(1)) {
		t.Error("it is not known when an object went")
	}
	now = noon.Add(tombstoneLifetime + time.Hour)
	d.add(name(1), TenantOf("shop"))
	if !d.has(name(0)) || !d.has(name(1)) {
		t.Error("something was forgotten after a day")
	}
	now = noon.Add(2*tombstoneLifetime + 2*time.Hour)
	d.add(name(2), TenantOf("shop"))
	if d.has(name(0)) || !d.has(name(1)) || !d.has(name(2)) {
		t.Error("what went long ago is not forgotten, or what went lately is")
	}
	const all = maxTombstones * 5 / 4
	for i := range all {
		d.add(name(i), TenantOf("shop"))
	}
	last := name(all - 1)
	if n := len(d.all()); n > maxTombstones || n < maxTombstones/2 || !d.has(last) {
		t.Errorf("%d are known", n)
	}
	d.remove(last)
	if d.has(last) {
		t.Error("it was not forgotten")
	}
}

// A machine whose clock is set ahead for a moment forgets no deletion, and one that expires no
// token early.
func TestAClockThatIsSetDropsNoTombstone(t *testing.T) {
	f := newFixture()
	name := func(i int64) Client { return Client{Place: placeOf(numbers(i)), Owner: oauth2.Owner{UID: "one"}} }
	remove := func(i int64, now, past time.Duration) {
		f.now, f.past = noon.Add(now), noon.Add(past)
		f.Clients.Remove(name(i))
	}
	const hour, day = time.Hour, tombstoneLifetime
	remove(0, -day-hour, -day-hour)
	remove(1, -hour, -hour)
	remove(2, hour, hour)
	remove(3, 3*day, 2*hour) // the clock is ahead
	remove(4, 6*day, 2*hour)
	remove(5, 3*hour, 3*hour)
	for i := range int64(6) {
		if !f.Clients.Resurrected(name(i)) && i > 0 {
			t.Errorf("the deletion of %d is forgotten within a day", i)
		}
	}
	remove(6, 2*day, 2*day)
	remove(7, 3*day+hour, 3*day+hour)
	for i := range int64(6) {
		if f.Clients.Resurrected(name(i)) {
			t.Errorf("the deletion of %d is remembered after two days", i)
		}
	}

	f = newFixture()
	place := placeOf(registration.OpaqueSecretName(oauth2.OpaqueID(printer.UID)))
	f.Registry.minted.next(place, storedMinted{Minted: &printer})
	f.now, f.past = noon.Add(2*hour), noon // the token expires an hour after noon
	f.Registry.minted.next(place, storedMinted{})
	if !f.tombstones.has(tokenIdentity(printer.Tokens[0].ID)) {
		t.Error("the end of a token is forgotten, because the clock is ahead")
	}
}

// TestANamespaceDropsNoTombstoneOfAnother however many objects it deletes, after a restart too.
func TestANamespaceDropsNoTombstoneOfAnother(t *testing.T) {
	f := newFixture()
	f.Clients.Apply(clientObject(reporting))
	f.Clients.Remove(clientObject(reporting))
	for _, token := range printer.Tokens {
		f.tombstones.add(tokenIdentity(token.ID), TenantOf(printer.Namespace))
	}
	read, err := ReadSnapshot(written(t, f))
	must(t, err)
	restarted := newFixture()
	restarted.Begin(read)
	for _, f := range []*fixture{f, restarted} {
		other := Client{Tenant: TenantOf("churn"), Owner: oauth2.Owner{UID: "one"}}
		for i := range maxTombstones {
			other.Place = placeOf(numbers(int64(i)))
			f.Clients.Remove(other)
		}
		if !f.Clients.Resurrected(clientObject(reporting)) || !f.tombstones.has(tokenIdentity(printer.Tokens[0].ID)) {
			t.Error("the deletions of one namespace dropped the tombstones of another")
		}
		if n := len(f.tombstones.all()); n > maxTombstones || n < roomyTombstones {
			t.Errorf("%d are known", n)
		}
		if !f.Clients.Resurrected(other) {
			t.Error("the latest one was dropped")
		}
	}
}

// TestAListKeepsTheNamespaceOfWhatItLacks so that its tombstones count in that namespace.
func TestAListKeepsTheNamespaceOfWhatItLacks(t *testing.T) {
	before := filled(t)
	read, err := ReadSnapshot(written(t, before))
	must(t, err)
	restarted := newFixture()
	load(restarted, read)
	for _, f := range []*fixture{before, restarted} {
		f.Clients.Replace(none[Client], restore.List{Version: 200})
		f.Tokens.Replace(none[Token], restore.List{Version: 200})
		for object, from := range map[Place]Tenant{
			identity(resourceClients, PlaceOf(reporting.Namespace, reporting.Name), reporting.UID): TenantOf(reporting.Namespace),
			identity(resourceClients, PlaceOf(pod.Namespace, pod.Name), pod.UID):                   TenantOf(pod.Namespace),
			identity(resourceTokens, PlaceOf(printer.Namespace, printer.Name), printer.UID):        TenantOf(printer.Namespace),
			tokenIdentity(printer.Tokens[0].ID):                                                    TenantOf(printer.Namespace),
		} {
			if gone, known := f.tombstones.all()[object]; !known || gone.from != from {
				t.Errorf("a tombstone of %x, known %t, want %x", gone.from, known, from)
			}
		}
	}
}
