// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package attack_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/binary"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
	"google.golang.org/protobuf/proto"

	"github.com/hallpass-dev/hallpass/internal/jws"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
	"github.com/hallpass-dev/hallpass/test/bench/population"
	"github.com/hallpass-dev/hallpass/test/kit/installation"
	"github.com/hallpass-dev/hallpass/test/kit/world"
)

// containerLimit is limits.memory of config/tokenserver/deployment.yaml.
const containerLimit = 464 << 20

// TestACallerWhoTakesNoAnswerTakesNoMemory opens connections from one address, 1,000 by make
// robustness, to the token server's own binary. They open streams as long as the server lets them,
// with window 0 so that no answer is taken, with bodies that no endpoint reads, with long bodies,
// with checks of Envoy, with headers of HTTP/1.1 and messages of TLS that do not end, and with PING
// frames. A client at another address sends 100 requests a second meanwhile, and
// none of them may fail. The process has the memory limit of its container, in a cgroup where one
// can be made.
func TestACallerWhoTakesNoAnswerTakesNoMemory(t *testing.T) {
	clients, connections := world.Count(t, "HALLPASS_CLIENTS", 10_000), world.Count(t, "HALLPASS_UNREAD", 100)
	seconds := world.Count(t, "HALLPASS_UNREAD_SECONDS", 2)
	of := attacksOn(endpoints)
	for name, attacks := range map[string][]holding{
		"answers that are not taken": {of.notTaking},
		"bodies that are not read":   {of.unreadBody},
		"long bodies":                {of.longBody},
		"checks that are not taken":  {checksNotTaken},
		"checks that do not end":     {checksWithoutEnd},
		"mixtures":                   append(of.all(), checksNotTaken, checksWithoutEnd),
	} {
		if testing.Short() && name != "mixtures" {
			continue
		}
		t.Run(name, func(t *testing.T) {
			s := startAlone(t, clients)
			ctx, cancel := context.WithCancel(t.Context())
			var running sync.WaitGroup
			defer running.Wait()
			defer cancel()
			var opened atomic.Int64
			pace := make(chan struct{})
			for i := range connections {
				running.Go(func() { s.hold(ctx, attacks[i%len(attacks)], i, &opened, pace) })
			}
			// the attack is at its work before the honest client comes
			for opened.Load() < int64(5*connections) {
				pace <- struct{}{}
			}
			before := opened.Load()
			s.honest(t, 100*seconds, pace)
			t.Logf("%d streams opened; peak of resident memory %d MiB, of the container %s", opened.Load()-before, s.peak(t)>>20, s.container.peak())
			if opened.Load() == before {
				t.Error("the attack has ended before the honest client")
			}
			if peak := s.peak(t); peak >= containerLimit {
				t.Errorf("resident memory reached %d MiB", peak>>20)
			}
		})
	}
}

// alone is a token server that a made-up API server feeds.
type alone struct {
	address, envoy string
	client         population.Client
	http           *http.Client
	pid            int
	container      container
}

func startAlone(t *testing.T, clients int) *alone {
	t.Helper()
	program, err := installation.Program(t.Context(), filepath.Join("..", "..", ".."), "tokenserver")
	must(t, err)
	s := &alone{address: world.FreeAddress(t), envoy: world.FreeAddress(t), container: newContainer(t, containerLimit)}
	issuer, err := oauth2.ParseIssuer("https://"+s.address, false)
	must(t, err)
	people, err := population.New(issuer, clients, jws.ES256, time.Now())
	must(t, err)
	api, err := people.Serve()
	must(t, err)
	t.Cleanup(func() { _ = api.Stop() })
	s.client = people.Clients[0]
	dir := t.TempDir()
	must(t, api.WriteKubeconfig(filepath.Join(dir, "kubeconfig")))
	roots := writeCertificate(t, dir)
	s.http = &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}}}

	ops := world.FreeAddress(t)
	log, err := os.Create(filepath.Join(dir, "log"))
	must(t, err)
	command := s.container.command(program, "--issuer="+issuer.String(), "--kubeconfig="+filepath.Join(dir, "kubeconfig"), "--listen="+s.address, "--ops-listen="+ops,
		"--ext-authz-bind-address="+s.envoy, "--tls-cert-file="+filepath.Join(dir, "tls.crt"), "--tls-key-file="+filepath.Join(dir, "tls.key"),
		"--snapshot-file="+filepath.Join(inMemory(t), "snapshot"))
	limit, err := installation.MemoryLimit(filepath.Join("..", "..", ".."), "tokenserver")
	must(t, err)
	command.Env = append(os.Environ(), limit)
	command.Stdout, command.Stderr = log, log
	must(t, command.Start())
	t.Cleanup(func() {
		_ = command.Process.Kill()
		_ = command.Wait()
		_ = log.Close()
	})
	s.pid = command.Process.Pid
	must(t, installation.Wait(t.Context(), "the token server is ready", func() (bool, error) { return installation.Ready(t.Context(), "http://"+ops), nil }))
	return s
}

// streamsPerRequest lets 4,000 streams be opened a second: the attack takes room and not the
// processors, which it shares with the server here. On a slow machine both are slower.
const streamsPerRequest = 40

// honest fetches tokens, 100 a second, a tenth of them by a new connection. With each of them it
// lets the attack continue.
func (s *alone) honest(t *testing.T, requests int, pace chan<- struct{}) {
	t.Helper()
	var running sync.WaitGroup
	var slowest atomic.Int64
	tick := time.NewTicker(time.Second / 100)
	defer tick.Stop()
	for i := range requests {
		<-tick.C
		for range streamsPerRequest {
			select {
			case pace <- struct{}{}:
			default:
			}
		}
		running.Go(func() {
			if i%10 == 0 {
				s.http.CloseIdleConnections()
			}
			began := time.Now()
			if err := s.fetch(t.Context()); err != nil {
				t.Errorf("the honest client is refused: %v", err)
			}
			slowest.Store(max(slowest.Load(), int64(time.Since(began))))
		})
	}
	running.Wait()
	t.Logf("%d requests of the honest client, the slowest took %s", requests, time.Duration(slowest.Load()))
}

func (s *alone) fetch(ctx context.Context) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, "https://"+s.address+oauth2.TokenPath, strings.NewReader("grant_type=client_credentials"))
	if err != nil {
		return err
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.SetBasicAuth(s.client.ID, s.client.Secret.Reveal())
	answer, err := s.http.Do(r)
	if err != nil {
		return err
	}
	defer func() { _ = answer.Body.Close() }()
	if body, err := io.ReadAll(answer.Body); err != nil || answer.StatusCode != http.StatusOK {
		return fmt.Errorf("%s %s: %w", answer.Status, body, err)
	}
	return nil
}

func (s *alone) peak(t *testing.T) int {
	t.Helper()
	return (&server{pid: s.pid}).peakMemory(t)
}

// holding makes a server hold something by a stream.
type holding struct {
	envoy bool
	// begin is sent in the place of streams, beside TLS if it is plain.
	begin []byte
	plain bool
	// window is what the caller takes of each answer.
	window uint32
	open   func(f *http2.Framer, stream uint32, i int) error
}

// attacks are ways to make a server hold something, by the endpoints that it has.
type attacks struct{ notTaking, unreadBody, longBody, wideHeader holding }

func attacksOn(endpoints []string) attacks {
	body := func(n int) holding {
		return holding{open: func(f *http2.Framer, stream uint32, i int) error {
			if err := headers(f, endpoints, stream, i, false); err != nil {
				return err
			}
			return f.WriteData(stream, false, make([]byte, n))
		}}
	}
	return attacks{
		notTaking:  holding{open: func(f *http2.Framer, stream uint32, i int) error { return headers(f, endpoints, stream, i, true) }},
		unreadBody: body(4 << 10), longBody: body(16 << 10),
		wideHeader: holding{open: func(f *http2.Framer, stream uint32, i int) error {
			fields := []hpack.HeaderField{}
			for n := range 300 {
				fields = append(fields, hpack.HeaderField{Name: "a" + strconv.Itoa(n)})
			}
			return headers(f, endpoints, stream, i, true, fields...)
		}},
	}
}

// all are these, and those before a server knows a request.
func (a attacks) all() []holding {
	return []holding{a.notTaking, a.unreadBody, a.longBody, a.wideHeader, headersWithoutEnd, halfHello, pings}
}

// The ways to make the server for Envoy hold something.
var (
	checksNotTaken = holding{envoy: true, open: func(f *http2.Framer, stream uint32, _ int) error {
		if err := check(f, stream); err != nil {
			return err
		}
		question, err := proto.Marshal(&authv3.CheckRequest{})
		if err != nil {
			return err
		}
		return f.WriteData(stream, true, append(binary.BigEndian.AppendUint32([]byte{0}, uint32(len(question))), question...))
	}}
	checksWithoutEnd = holding{envoy: true, open: func(f *http2.Framer, stream uint32, _ int) error {
		if err := check(f, stream); err != nil {
			return err
		}
		return f.WriteData(stream, false, append(binary.BigEndian.AppendUint32([]byte{0}, 100<<10), make([]byte, 16<<10-5)...))
	}}
)

// The ways to make a server hold something before it knows a request.
var (
	headersWithoutEnd = holding{begin: wideBeginning()}
	halfHello         = holding{begin: helloBeginning(), plain: true}
	pings             = holding{begin: unreadPings()}
)

// wideBeginning is a request of HTTP/1.1 without its end, with as many headers as the server reads.
func wideBeginning() []byte {
	var b bytes.Buffer
	b.WriteString("GET / HTTP/1.1\r\nHost: localhost\r\n")
	for i := 0; b.Len() < 20_000; i++ {
		_, _ = fmt.Fprintf(&b, "%x:\n", i)
	}
	return b.Bytes()
}

// helloBeginning is a ClientHello of TLS without its last byte, in records.
func helloBeginning() []byte {
	const length = 65_000
	var b bytes.Buffer
	for hello := append([]byte{1, length >> 16, length >> 8, length & 0xff}, make([]byte, length-1)...); len(hello) > 0; {
		record := hello[:min(16<<10, len(hello))]
		b.Write(binary.BigEndian.AppendUint16([]byte{22, 3, 1}, uint16(len(record)))) //nolint:gosec // at most 16 KiB
		b.Write(record)
		hello = hello[len(record):]
	}
	return b.Bytes()
}

// unreadPings is a connection of HTTP/2 with more PING frames than the server may queue answers of.
func unreadPings() []byte {
	var b bytes.Buffer
	b.WriteString(http2.ClientPreface)
	f := http2.NewFramer(&b, nil)
	_ = f.WriteSettings() // to memory
	for range 12_000 {
		_ = f.WritePing(false, [8]byte{1})
	}
	return b.Bytes()
}

// beginAndWait sends the beginning of something on connections that last until the server closes
// them.
func (s *alone) beginAndWait(ctx context.Context, h holding, opened *atomic.Int64, pace <-chan struct{}) {
	for ctx.Err() == nil {
		select {
		case <-pace:
		case <-ctx.Done():
			return
		}
		conn, err := (&net.Dialer{LocalAddr: from(2), Timeout: time.Minute}).DialContext(ctx, "tcp", s.address)
		if err != nil {
			pause(ctx, time.Second)
			continue
		}
		stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
		c := conn
		if !h.plain {
			protocol := "http/1.1"
			if bytes.HasPrefix(h.begin, []byte(http2.ClientPreface)) {
				protocol = "h2"
			}
			c = tls.Client(conn, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{protocol}}) //nolint:gosec // an attacker does not care
		}
		if _, err := c.Write(h.begin); err == nil {
			opened.Add(1)
			_, _ = io.Copy(io.Discard, conn) // until the server closes it
		}
		stop()
		_ = conn.Close()
		pause(ctx, time.Second) // as repeatedly does
	}
}

// endpoints are all that answer callers without credentials, if only with a refusal.
var endpoints = []string{
	"GET " + oauth2.JWKSPath, "GET " + oauth2.MetadataPath, "GET " + oauth2.DiscoveryPath, "GET " + oauth2.ForwardAuthPath + "?audience=a", "POST " + oauth2.TokenPath,
	"POST " + oauth2.IntrospectionPath, "POST " + oauth2.RevocationPath, "GET " + oauth2.RevocationFeedPath, "POST " + oauth2.RevocationFeedPath,
	"GET " + oauth2.ResourceMetadataPath + "/resources/a/b", "POST " + oauth2.JWKSPath, "POST " + oauth2.ForwardAuthPath, "GET " + oauth2.AuthorizationPath, "GET /nothing",
}

func headers(f *http2.Framer, endpoints []string, stream uint32, i int, whole bool, further ...hpack.HeaderField) error {
	method, path, _ := strings.Cut(endpoints[i%len(endpoints)], " ")
	return block(f, stream, whole, append([]hpack.HeaderField{
		{Name: ":method", Value: method}, {Name: ":scheme", Value: "https"}, {Name: ":authority", Value: "localhost"}, {Name: ":path", Value: path},
		{Name: "x-padding", Value: strings.Repeat("x", 4<<10)},
	}, further...))
}

func check(f *http2.Framer, stream uint32) error {
	return block(f, stream, false, []hpack.HeaderField{
		{Name: ":method", Value: "POST"}, {Name: ":scheme", Value: "https"}, {Name: ":authority", Value: "localhost"},
		{Name: ":path", Value: authv3.Authorization_Check_FullMethodName}, {Name: "content-type", Value: "application/grpc"}, {Name: "te", Value: "trailers"},
	})
}

func block(f *http2.Framer, stream uint32, whole bool, fields []hpack.HeaderField) error {
	var encoded bytes.Buffer
	encoder := hpack.NewEncoder(&encoded)
	encoder.SetMaxDynamicTableSize(0) // each block stands for itself
	for _, field := range fields {
		if err := encoder.WriteField(field); err != nil {
			return err
		}
	}
	return f.WriteHeaders(http2.HeadersFrameParam{StreamID: stream, BlockFragment: encoded.Bytes(), EndStream: whole, EndHeaders: true})
}

// hold opens streams on a connection, as many as the server lets it, and another connection when it
// is hung up on.
func (s *alone) hold(ctx context.Context, h holding, i int, opened *atomic.Int64, pace <-chan struct{}) {
	if h.begin != nil {
		s.beginAndWait(ctx, h, opened, pace)
		return
	}
	address := s.address
	if h.envoy {
		address = s.envoy
	}
	(&attack{address: address}).repeatedly(ctx, func(_ context.Context, c *tls.Conn) {
		defer func() {
			select {
			case <-pace: // a further connection counts as a stream
			case <-ctx.Done():
			}
		}()
		f := http2.NewFramer(c, c)
		if _, err := c.Write([]byte(http2.ClientPreface)); err != nil {
			return
		}
		if err := f.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: h.window}); err != nil {
			return
		}
		const most = 120 // of the 128 that the server allows
		var streams atomic.Int64
		ended := make(chan struct{}, 1)
		gone := make(chan struct{})
		go func() {
			defer close(gone)
			for {
				frame, err := f.ReadFrame()
				if err != nil {
					return
				}
				data, isData := frame.(*http2.DataFrame)
				if _, reset := frame.(*http2.RSTStreamFrame); reset || isData && data.StreamEnded() {
					streams.Add(-1)
					select {
					case ended <- struct{}{}:
					default:
					}
				}
			}
		}()
		for stream := uint32(1); ; {
			for ; streams.Load() < most; stream += 2 {
				select {
				case <-pace:
				case <-gone:
					return
				}
				if err := h.open(f, stream, i+int(stream/2)); err != nil {
					return
				}
				streams.Add(1)
				opened.Add(1)
			}
			select {
			case <-ended:
			case <-gone:
				return
			}
		}
	}, from(2))
}

// container is a cgroup with the memory limit of the shipped one; empty where none can be made.
type container struct{ dir string }

func newContainer(t *testing.T, bytes int) container {
	t.Helper()
	own, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return container{}
	}
	for line := range strings.Lines(string(own)) {
		fields := strings.SplitN(strings.TrimSpace(line), ":", 3)
		parent, limit := filepath.Join("/sys/fs/cgroup", fields[2]), "memory.max"
		if fields[1] == "memory" {
			parent, limit = filepath.Join("/sys/fs/cgroup/memory", fields[2]), "memory.limit_in_bytes"
		} else if fields[1] != "" {
			continue
		}
		dir, err := os.MkdirTemp(parent, "hallpass-") //nolint:usetesting // a cgroup
		if err != nil {
			continue
		}
		t.Cleanup(func() { _ = os.Remove(dir) })
		if os.WriteFile(filepath.Join(dir, limit), []byte(strconv.Itoa(bytes)), 0) == nil {
			return container{dir}
		}
	}
	t.Log("no cgroup can be made here: resident memory alone is looked at")
	return container{}
}

// command runs a program in the container.
func (c container) command(program string, args ...string) *exec.Cmd {
	if c.dir == "" {
		return exec.Command(program, args...) //nolint:noctx // ours; ended by the caller
	}
	enter := `echo $$ > "$0"/cgroup.procs && exec "$@"`
	return exec.Command("sh", append([]string{"-c", enter, c.dir, program}, args...)...) //nolint:noctx // as above
}

func (c container) peak() string {
	for _, name := range []string{"memory.peak", "memory.max_usage_in_bytes"} {
		if value, err := os.ReadFile(filepath.Join(c.dir, name)); c.dir != "" && err == nil {
			if bytes, err := strconv.Atoi(strings.TrimSpace(string(value))); err == nil {
				return fmt.Sprintf("%d MiB", bytes>>20)
			}
		}
	}
	return "unknown"
}

// inMemory is a directory in memory where there is one, as the snapshot's in the container.
func inMemory(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "hallpass-") //nolint:usetesting // in memory
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// writeCertificate writes a certificate for a loopback address and others.
func writeCertificate(t *testing.T, dir string, others ...net.IP) *x509.CertPool {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "localhost"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: append(others, net.IPv4(127, 0, 0, 1)), DNSNames: []string{"localhost"}, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	must(t, err)
	encoded, err := x509.MarshalPKCS8PrivateKey(key)
	must(t, err)
	must(t, os.WriteFile(filepath.Join(dir, "tls.crt"), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600))
	must(t, os.WriteFile(filepath.Join(dir, "tls.key"), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: encoded}), 0o600))
	certificate, err := x509.ParseCertificate(der)
	must(t, err)
	pool := x509.NewCertPool()
	pool.AddCert(certificate)
	return pool
}

// TestAsManyIdleConnectionsAsArePromisedAreHeld opens connections of HTTP/2: 4,085 by make
// robustness, where --max-connections is 4,096 by default. Each has had an answer. None is closed,
// and another client has its tokens beside them.
func TestAsManyIdleConnectionsAsArePromisedAreHeld(t *testing.T) {
	const perSource = 1000 // of the 1,024 that a source may have
	connections := world.Count(t, "HALLPASS_IDLE", 300)
	s := startAlone(t, world.Count(t, "HALLPASS_CLIENTS", 10_000))
	var closed atomic.Int64
	for i := range connections {
		dialer := &tls.Dialer{
			NetDialer: &net.Dialer{LocalAddr: from(2 + i/perSource)},
			Config:    &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2"}}, //nolint:gosec // the test's own server
		}
		conn, err := dialer.DialContext(t.Context(), "tcp", s.address)
		must(t, err)
		t.Cleanup(func() { _ = conn.Close() })
		f := http2.NewFramer(conn, conn)
		_, err = conn.Write([]byte(http2.ClientPreface))
		must(t, err)
		must(t, f.WriteSettings())
		must(t, block(f, 1, true, []hpack.HeaderField{
			{Name: ":method", Value: "GET"}, {Name: ":scheme", Value: "https"}, {Name: ":authority", Value: "localhost"}, {Name: ":path", Value: oauth2.JWKSPath},
		}))
		for answered := false; !answered; {
			frame, err := f.ReadFrame()
			must(t, err)
			data, isData := frame.(*http2.DataFrame)
			answered = isData && data.StreamEnded()
		}
		go func() {
			for {
				if _, err := f.ReadFrame(); err != nil {
					closed.Add(1)
					return
				}
			}
		}()
	}
	s.honest(t, 100, nil)
	if n := closed.Load(); n > 0 {
		t.Errorf("%d of %d idle connections were closed", n, connections)
	}
	t.Logf("%d connections; peak of resident memory %d MiB, of the container %s", connections, s.peak(t)>>20, s.container.peak())
	if peak := s.peak(t); peak >= containerLimit {
		t.Errorf("resident memory reached %d MiB", peak>>20)
	}
}
