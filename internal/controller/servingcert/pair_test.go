// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package servingcert

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/hallpass-dev/hallpass/internal/apiclock"
)

const day = 24 * time.Hour

var start = time.Date(2026, time.March, 1, 9, 30, 0, 0, time.UTC)

func authority(t *testing.T, now time.Time) pair {
	t.Helper()
	made, err := newAuthority(apiclock.At(now), authorityLife, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return made
}

func serving(t *testing.T, from pair, now time.Time, names ...string) pair {
	t.Helper()
	made, err := from.issue(names, apiclock.At(now), servingLife, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return made
}

func TestACallerWhoTrustsTheAuthorityTrustsTheServingCertificate(t *testing.T) {
	ca := authority(t, start)
	made := serving(t, ca, start, "hallpass.example.com", "10.0.0.7")
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(ca.certPEM) {
		t.Fatal("the authority's certificate cannot be read")
	}
	for name, c := range map[string]struct {
		host string
		at   time.Time
		want bool
	}{
		"at once": {"hallpass.example.com", start, true},
		"with a clock that is ten minutes behind": {"hallpass.example.com", start.Add(-10 * time.Minute), true},
		"not with a clock that is eleven behind":  {"hallpass.example.com", start.Add(-11 * time.Minute), false},
		"by its address":                          {"10.0.0.7", start, true},
		"not under another name":                  {"other.example.com", start, false},
		"not below its name":                      {"a.hallpass.example.com", start, false},
		"until 90 days are over":                  {"hallpass.example.com", start.Add(90*day - time.Second), true},
		"and not longer":                          {"hallpass.example.com", start.Add(90*day + time.Second), false},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := made.certificate.Verify(x509.VerifyOptions{
				Roots: roots, DNSName: c.host, CurrentTime: c.at, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
			})
			if (err == nil) != c.want {
				t.Errorf("verified: %v, want %t", err, c.want)
			}
		})
	}
}

func TestAServingCertificateIsReplacedInTime(t *testing.T) {
	ca := authority(t, start)
	made, err := ca.issue([]string{host}, apiclock.At(start), 9*day, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		now  apiclock.Time
		want bool
	}{
		"when it is new":                                 {apiclock.At(start), false},
		"when two thirds of its life are over":           {apiclock.At(start.Add(6 * day)), true},
		"not before":                                     {apiclock.At(start.Add(6*day - time.Second)), false},
		"when it is not yet valid":                       {apiclock.At(start.Add(-time.Hour)), true},
		"when it is not yet valid by one clock":          {wrongBy(-day)(start), false},
		"when its last third has begun by the other one": {wrongBy(6 * day)(start), true},
	} {
		t.Run(name, func(t *testing.T) {
			if got := made.isDue(ca, c.now, 9*day); got != c.want {
				t.Errorf("due: %t", got)
			}
		})
	}
}

func TestAServingCertificateServesNothingElse(t *testing.T) {
	ca := authority(t, start)
	made := serving(t, ca, start, "hallpass.example.com")
	if made.certificate.IsCA {
		t.Error("it is an authority")
	}
	if got := made.certificate.ExtKeyUsage; len(got) != 1 || got[0] != x509.ExtKeyUsageServerAuth {
		t.Errorf("it is for %v, want servers alone", got)
	}
	forged := serving(t, made, start, "hallpass.example.com")
	roots, middle := x509.NewCertPool(), x509.NewCertPool()
	roots.AddCert(ca.certificate)
	middle.AddCert(made.certificate)
	if _, err := forged.certificate.Verify(x509.VerifyOptions{Roots: roots, Intermediates: middle, CurrentTime: start}); err == nil {
		t.Error("what it certifies is trusted")
	}
	if !ca.certificate.IsCA || !ca.certificate.MaxPathLenZero || ca.certificate.MaxPathLen != 0 {
		t.Error("the authority may make further authorities, or is none")
	}
}

func TestServes(t *testing.T) {
	ca := authority(t, start)
	renewed := authority(t, start.Add(time.Hour)) // of the same name, with another key
	made := serving(t, ca, start, "a.example.com", "b.example.com", "10.0.0.7")
	for name, c := range map[string]struct {
		names []string
		ca    pair
		want  bool
	}{
		"all its names":                     {[]string{"a.example.com", "b.example.com", "10.0.0.7"}, ca, true},
		"fewer names than it has":           {[]string{"b.example.com"}, ca, true},
		"not one name more":                 {[]string{"a.example.com", "c.example.com"}, ca, false},
		"not one address more":              {[]string{"a.example.com", "10.0.0.8"}, ca, false},
		"not once the authority is renewed": {[]string{"a.example.com"}, renewed, false},
	} {
		t.Run(name, func(t *testing.T) {
			if got := made.serves(c.names, c.ca); got != c.want {
				t.Errorf("serves = %t, want %t", got, c.want)
			}
		})
	}
}

func TestRenewalComesAtTwoThirdsOfALife(t *testing.T) {
	ca := authority(t, start)
	for name, c := range map[string]struct {
		pair pair
		life time.Duration
	}{
		"the authority":           {ca, authorityLife},
		"the serving certificate": {serving(t, ca, start, "a.example.com"), servingLife},
	} {
		t.Run(name, func(t *testing.T) {
			want := start.Add(c.life * 2 / 3)
			if got := c.pair.renewAt(); got.Sub(want).Abs() > time.Second {
				t.Errorf("renewed at %s, want %s", got, want)
			}
			if left := c.pair.certificate.NotAfter.Sub(c.pair.renewAt()); left < c.life/4 {
				t.Errorf("only %s are left to renew it in", left)
			}
		})
	}
}

func TestNoServingCertificateOutlivesItsAuthority(t *testing.T) {
	ca := authority(t, start)
	last := ca.renewAt().Add(-time.Second) // the last moment at which this authority is used
	if made := serving(t, ca, last, "a.example.com"); made.certificate.NotAfter.After(ca.certificate.NotAfter) {
		t.Errorf("it ends at %s, after its authority at %s", made.certificate.NotAfter, ca.certificate.NotAfter)
	}
}

func TestSerialNumbersAreNotRepeated(t *testing.T) {
	ca := authority(t, start)
	one, other := serving(t, ca, start, "a.example.com"), serving(t, ca, start, "a.example.com")
	if one.certificate.SerialNumber.Cmp(other.certificate.SerialNumber) == 0 {
		t.Error("two certificates have the same serial number")
	}
}

func TestParsePair(t *testing.T) {
	ca := authority(t, start)
	made, other := serving(t, ca, start, "a.example.com"), serving(t, ca, start, "a.example.com")
	foreignCert, foreignKey := rsaPair(t)
	for name, c := range map[string]struct {
		cert, key []byte
		want      bool
	}{
		"a pair":                            {made.certPEM, made.keyPEM, true},
		"not a key of another certificate":  {made.certPEM, other.keyPEM, false},
		"not without a key":                 {made.certPEM, nil, false},
		"not without a certificate":         {nil, made.keyPEM, false},
		"not what is cut off":               {made.certPEM[:len(made.certPEM)/2], made.keyPEM, false},
		"not what is no PEM":                {[]byte("certificate"), []byte("key"), false},
		"not a key of a kind we never make": {foreignCert, foreignKey, false},
	} {
		t.Run(name, func(t *testing.T) {
			parsed, err := parsePair(map[string][]byte{corev1.TLSCertKey: c.cert, corev1.TLSPrivateKeyKey: c.key})
			if (err == nil) != c.want {
				t.Fatalf("%v, want success %t", err, c.want)
			}
			if err == nil && !parsed.certificate.Equal(made.certificate) {
				t.Error("another certificate came back")
			}
		})
	}
}

func rsaPair(t *testing.T) (certPEM, keyPEM []byte) {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "x"}, NotBefore: start, NotAfter: start.Add(day),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER})
}
