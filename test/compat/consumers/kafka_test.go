// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package consumers_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/hallpass-dev/hallpass/internal/oauth2"
	"github.com/hallpass-dev/hallpass/test/kit/memory"
	"github.com/hallpass-dev/hallpass/test/kit/world"
)

// kafkaAround is what the page leaves to the reader: one node that is broker and controller, its
// addresses, its certificate and its storage.
const kafkaAround = `
node.id=1
process.roles=broker,controller
listeners=CLIENTS://%[1]s,INTERNAL://%[2]s,CONTROLLER://%[3]s
advertised.listeners=CLIENTS://%[4]s,INTERNAL://%[2]s,CONTROLLER://%[3]s
listener.security.protocol.map=CLIENTS:SASL_SSL,INTERNAL:PLAINTEXT,CONTROLLER:PLAINTEXT
inter.broker.listener.name=INTERNAL
controller.listener.names=CONTROLLER
controller.quorum.voters=1@%[3]s
super.users=User:ANONYMOUS;User:%[5]s
listener.name.clients.ssl.keystore.type=PEM
listener.name.clients.ssl.keystore.location=%[6]s
log.dirs=%[7]s
offsets.topic.num.partitions=1
offsets.topic.replication.factor=1
group.initial.rebalance.delay.ms=0
`

// kafkaCluster is a Kafka of one node, with the documented configuration.
type kafkaCluster struct {
	issuer, audience, caFile string // of Hallpass
	classPath                string
	address                  string
	brokerCA                 string
}

// kafkaClasses has Maven fetch what the distribution of Kafka has, compiles the documented
// validator, and returns the class path of both.
func kafkaClasses(t *testing.T) string {
	t.Helper()
	for _, program := range []string{"java", "javac", "mvn"} {
		installed(t, program)
	}
	dir := t.TempDir()
	list := filepath.Join(dir, "classpath")
	run := func(name string, arguments ...string) {
		t.Helper()
		if printed, err := exec.CommandContext(t.Context(), name, arguments...).CombinedOutput(); err != nil {
			t.Fatalf("%s: %v: %s", name, err, printed)
		}
	}
	run("mvn", "--batch-mode", "--quiet", "--file", "kafka/pom.xml", "dependency:build-classpath", "-Dmdep.outputFile="+list)
	libraries, err := os.ReadFile(list)
	must(t, err)
	run("javac", "-cp", string(libraries), "-d", dir, filepath.Join(docs, "kafka", "AccessTokenValidator.java"))
	return dir + ":" + string(libraries)
}

// java is a command line of the Java of a cluster. The JVM may fetch from these URLs and read these
// files for OAuth.
func (k *kafkaCluster) java(heap, mayRead, main string, arguments ...string) []string {
	return append([]string{
		"java", "-Xmx" + heap, "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-cp", k.classPath,
		"-Dorg.apache.kafka.sasl.oauthbearer.allowed.urls=" + k.issuer + "/oauth2/jwks," + k.issuer + "/oauth2/token",
		"-Dorg.apache.kafka.sasl.oauthbearer.allowed.files=" + mayRead, main,
	}, arguments...)
}

// startKafka formats the storage of a node and starts it. The administrator is a super user.
func startKafka(t *testing.T, issuer, audience, caFile, administrator string) *kafkaCluster {
	t.Helper()
	certFile, keyFile, brokerCA := certify(t)
	k := &kafkaCluster{issuer: issuer, audience: audience, caFile: caFile, classPath: kafkaClasses(t), brokerCA: brokerCA}
	dir := t.TempDir()
	keyStore := filepath.Join(dir, "tls.pem")
	var both []byte
	for _, file := range []string{keyFile, certFile} {
		part, err := os.ReadFile(file)
		must(t, err)
		both = append(both, part...)
	}
	must(t, os.WriteFile(keyStore, both, 0o600))
	address := world.FreeAddress(t)
	_, port, err := net.SplitHostPort(address)
	must(t, err)
	k.address = "localhost:" + port
	config := configure(t, "kafka/server.properties", "https://hallpass.example.com/resources/platform/kafka", audience, "https://hallpass.example.com", issuer,
		"/etc/oauth2/ca.crt", caFile, "super.users=User:platform.kafka-admin\n", "")
	text, err := os.ReadFile(config)
	must(t, err)
	around := fmt.Sprintf(kafkaAround, address, world.FreeAddress(t), world.FreeAddress(t), k.address, administrator, keyStore, filepath.Join(dir, "data"))
	must(t, os.WriteFile(config, append(text, around...), 0o600))
	format := k.java("256m", "", "kafka.tools.StorageTool", "format", "--cluster-id", "MkU3OEVBNTcwNTJENDM2Qg", "--config", config)
	if printed, err := exec.CommandContext(t.Context(), format[0], format[1:]...).CombinedOutput(); err != nil {
		t.Fatalf("format the storage of Kafka: %v: %s", err, printed)
	}
	node := k.java("512m", "", "kafka.Kafka", config)
	runWith(t, nil, node[0], node[1:]...)
	return k
}

// login sends a token to Kafka (RFC 7628) and returns how it is refused; empty if it is accepted.
func (k *kafkaCluster) login(t *testing.T, token string) (refusal string) {
	t.Helper()
	connection, err := tls.Dial("tcp", k.address, trust(t, k.brokerCA)) //nolint:noctx // on loopback
	if err != nil {
		return err.Error()
	}
	defer func() { _ = connection.Close() }()
	must(t, connection.SetDeadline(time.Now().Add(time.Minute)))
	// SaslHandshake and SaslAuthenticate in version 1
	kafkaRequest(t, connection, 17, []byte("\x00\x0bOAUTHBEARER"))
	answer := kafkaRequest(t, connection, 36, withLength([]byte("n,,\x01auth=Bearer "+token+"\x01\x01")))
	code := binary.BigEndian.Uint16(answer)
	if code != 0 {
		return fmt.Sprintf("error %d: %q", code, answer)
	}
	// without an error: a null string, and what the mechanism answers, which is nothing if it
	// accepts
	length := binary.BigEndian.Uint32(answer[4:])
	return string(answer[8:][:length])
}

// withLength puts the length before a message.
func withLength(message []byte) []byte {
	return append(binary.BigEndian.AppendUint32(nil, uint32(len(message))), message...) //nolint:gosec // it is short
}

// kafkaRequest sends a request in version 1 and returns the body of the response.
func kafkaRequest(t *testing.T, connection io.ReadWriter, api uint16, body []byte) []byte {
	t.Helper()
	request := binary.BigEndian.AppendUint16(nil, api)
	request = binary.BigEndian.AppendUint16(request, 1)
	request = binary.BigEndian.AppendUint32(request, 1)      // the correlation
	request = binary.BigEndian.AppendUint16(request, 0xffff) // no client.id
	request = append(request, body...)
	_, err := connection.Write(withLength(request))
	must(t, err)
	var length uint32
	must(t, binary.Read(connection, binary.BigEndian, &length))
	response := make([]byte, length)
	_, err = io.ReadFull(connection, response)
	must(t, err)
	return response[4:]
}

// properties writes documented properties of a client with the addresses of this test.
func (k *kafkaCluster) properties(t *testing.T, name string, addresses ...string) string {
	t.Helper()
	return configure(t, "kafka/"+name, append(addresses, "https://hallpass.example.com", k.issuer, "/etc/kafka/ca.crt", k.brokerCA, "/etc/oauth2/ca.crt", k.caFile)...)
}

// bySecret writes the properties of a client whose Secret is mounted.
func (k *kafkaCluster) bySecret(t *testing.T, dir string) string {
	t.Helper()
	file := k.properties(t, "client-secret.properties")
	text, err := os.ReadFile(file)
	must(t, err)
	must(t, os.WriteFile(file, bytes.ReplaceAll(text, []byte("/etc/oauth2"), []byte(dir)), 0o600))
	return file
}

// setUp runs the documented script with the tools of Kafka under the names that they have in its
// distribution.
func (k *kafkaCluster) setUp(t *testing.T, properties string, clients ...string) {
	t.Helper()
	bin := t.TempDir()
	for name, main := range map[string]string{"kafka-topics.sh": "TopicCommand", "kafka-acls.sh": "AclCommand"} {
		tool := "#!/bin/sh\nexec '" + strings.Join(k.java("128m", "", "org.apache.kafka.tools."+main), "' '") + "' \"$@\"\n"
		must(t, os.WriteFile(filepath.Join(bin, name), []byte(tool), 0o700))
	}
	script := exec.CommandContext(t.Context(), filepath.Join(docs, "kafka", "setup.sh"), append([]string{k.address, properties}, clients...)...)
	script.Env = append(os.Environ(), "PATH="+bin+":"+os.Getenv("PATH"))
	if printed, err := script.CombinedOutput(); err != nil {
		t.Fatalf("create the topic and its ACLs: %v: %s", err, printed)
	}
}

// kafkaWorkers are the documented programs in Go and Python.
type kafkaWorkers struct{ golang, python []string }

func buildKafkaWorkers(t *testing.T) kafkaWorkers {
	t.Helper()
	program := filepath.Join(t.TempDir(), "worker")
	build := exec.CommandContext(t.Context(), "go", "build", "-trimpath", "-o", program, "./worker")
	build.Dir, build.Env = filepath.Join(docs, "kafka"), append(os.Environ(), "CGO_ENABLED=0")
	if printed, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build the worker: %v: %s", err, printed)
	}
	interpreter := python(t, filepath.Join(docs, "kafka", "requirements.txt"))
	return kafkaWorkers{[]string{program}, []string{interpreter, filepath.Join(docs, "kafka", "worker.py")}}
}

// start runs a worker with a mounted Secret.
func (k *kafkaCluster) start(t *testing.T, program []string, name, dir, resource string) *output {
	t.Helper()
	return runWith(t, []string{
		"NAME=" + name, "HALLPASS_DIR=" + dir, "RESOURCE=" + resource, "KAFKA_BROKERS=" + k.address, "KAFKA_CA_FILE=" + k.brokerCA,
	}, program[0], program[1:]...)
}

// unsigned is a token without a signature, which Kafka accepts unless it is configured.
func unsigned(claims string) string {
	part := base64.RawURLEncoding.EncodeToString
	return part([]byte(`{"alg":"none","typ":"at+jwt"}`)) + "." + part([]byte(claims)) + "."
}

// kafkaFlow is a broker with clients that are connected to it.
type kafkaFlow struct {
	*kafkaCluster

	hallpass *memory.Server
	// producers are the names that messages begin with, and consumers what the consumers print.
	producers []string
	consumers map[string]*output
}

// flows waits until each consumer gets two more messages of each producer.
func (f *kafkaFlow) flows(t *testing.T, when string) {
	t.Helper()
	for what, printed := range f.consumers {
		before := printed.String()
		for _, producer := range f.producers {
			eventually(t, fmt.Sprintf("%s gets messages of %s %s", what, producer, when), func() bool {
				return strings.Count(printed.String(), producer+" ") >= strings.Count(before, producer+" ")+2
			})
		}
	}
}

// loseNothing fails if a producer had an error, or if a consumer lacks a message between two
// others. Consumers may get a message twice.
func (f *kafkaFlow) loseNothing(t *testing.T) {
	t.Helper()
	for what, printed := range f.consumers {
		text := printed.String()
		for _, problem := range []string{"produce:", "consume:", "Exception"} {
			if strings.Contains(text, problem) {
				t.Errorf("%s had an error: %s", what, text)
			}
		}
		for _, producer := range f.producers {
			var got []int
			for line := range strings.Lines(text) {
				if _, number, found := strings.Cut(line, producer+" "); found {
					n, err := strconv.Atoi(strings.TrimSpace(number))
					must(t, err)
					got = append(got, n)
				}
			}
			slices.Sort(got)
			if got = slices.Compact(got); len(got) != got[len(got)-1]-got[0]+1 {
				t.Errorf("%s lacks messages of %s: %v", what, producer, got)
			}
		}
	}
}

// refusesBadTokens sends tokens to Kafka that it must refuse, and one that it must accept.
func (k *kafkaCluster) refusesBadTokens(t *testing.T, hallpass *memory.Server, client string) {
	t.Helper()
	good := tokenClaims(t, k.issuer, k.audience, client, nil)
	if refusal := k.login(t, hallpass.Sign("at+jwt", good)); refusal != "" {
		t.Fatalf("a token that was made for this test: %s", refusal)
	}
	with := func(name string, value any) string {
		return tokenClaims(t, k.issuer, k.audience, client, map[string]any{name: value})
	}
	for what, token := range map[string]string{
		"nonsense":         "a.b.c",
		"no signature":     unsigned(good),
		"another key":      memory.New(t, k.issuer).Sign("at+jwt", good),
		"another type":     hallpass.Sign("JWT", good),
		"another audience": hallpass.Sign("at+jwt", with("aud", hallpass.Audience)),
		"another issuer":   hallpass.Sign("at+jwt", with("iss", "https://evil.test")),
		"an expired token": hallpass.Sign("at+jwt", with("exp", time.Now().Add(-time.Minute).Unix())),
		"one for a person": hallpass.Sign("at+jwt", with("sub", "jane")),
		"no client_id":     hallpass.Sign("at+jwt", with("client_id", nil)),
	} {
		if refusal := k.login(t, token); !strings.Contains(refusal, "invalid_token") {
			t.Errorf("%s: %q, want invalid_token", what, refusal)
		}
	}
}

// startJava starts the console clients of Kafka: a consumer that authenticates by the token of its
// service account in a file, and a producer that has a secret.
func (f *kafkaFlow) startJava(t *testing.T, consumer, producer, tokenFile string) {
	t.Helper()
	byAssertion := f.properties(t, "client-assertion.properties", "shop.orders", consumer, "/var/run/hallpass/token", tokenFile)
	consuming := f.java("128m", tokenFile, "org.apache.kafka.tools.consumer.ConsoleConsumer",
		"--bootstrap-server", f.address, "--topic", "orders", "--group", "orders-java", "--command-config", byAssertion)
	f.consumers["Java"] = runWith(t, nil, consuming[0], consuming[1:]...)
	producing := f.java("128m", "", "org.apache.kafka.tools.ConsoleProducer", "--bootstrap-server", f.address, "--topic", "orders",
		"--command-config", f.bySecret(t, mounted(t, f.hallpass, f.issuer, f.caFile, producer)))
	command := exec.CommandContext(context.WithoutCancel(t.Context()), producing[0], producing[1:]...)
	input, err := command.StdinPipe()
	must(t, err)
	begin(t, command)
	go func() {
		for i := 1; t.Context().Err() == nil; i++ {
			if _, err := fmt.Fprintf(input, "java %d\n", i); err != nil {
				return
			}
			time.Sleep(time.Second) // a message a second, as the other clients send
		}
	}()
	f.producers = append(f.producers, "java")
}

// Kafka validates tokens with our keys and takes principals from them. Clients in Java, Go and
// Python produce and consume over the end of their tokens, a rotation of the secrets and one of
// the signing keys, until they are suspended.
//
// The JVMs and Maven take longer than other tests.
func TestKafkaTakesPrincipalsFromTokens(t *testing.T) {
	if testing.Short() {
		t.Skip("make long")
	}
	listener := memory.Listen(t)
	_, port, _ := strings.Cut(listener.Addr().String(), ":")
	issuer := "https://localhost:" + port
	hallpass := memory.New(t, issuer)
	caFile := hallpass.Serve(listener)
	resource := declare(hallpass, issuer, "platform", "kafka", "connect")
	register := func(client string) string {
		id := registerFor(hallpass, client, resource)
		hallpass.Change(id, func(c *oauth2.Client) { c.DefaultResource = c.Access[0].Resource })
		hallpass.SetTokenLifetime(id, 15*time.Second)
		return id
	}
	administrator, golang, python, orders, billing := register("admin"), register("golang"), register("python"), register("orders"), register("billing")
	k := startKafka(t, issuer, resource.Identifier, caFile, administrator)
	workers := buildKafkaWorkers(t)
	mount := func(client string) string { return mounted(t, hallpass, issuer, caFile, client) }
	eventually(t, "Kafka accepts a token", func() bool { return k.login(t, hallpass.Token(golang)) == "" })
	k.setUp(t, k.bySecret(t, mount(administrator)), golang, python, orders, billing)
	k.refusesBadTokens(t, hallpass, golang)

	f := &kafkaFlow{kafkaCluster: k, hallpass: hallpass, producers: []string{"golang", "python"}, consumers: map[string]*output{}}
	dirs := map[string]string{golang: mount(golang), python: mount(python)}
	f.consumers["Go"] = k.start(t, workers.golang, "golang", dirs[golang], resource.Identifier)
	f.consumers["Python"] = k.start(t, workers.python, "python", dirs[python], resource.Identifier)
	hallpass.AuthenticateBy(orders, "orders")
	tokenFile := filepath.Join(t.TempDir(), "token")
	must(t, os.WriteFile(tokenFile, []byte(hallpass.AccountToken("orders")), 0o600))
	f.startJava(t, orders, billing, tokenFile)
	stranger := k.start(t, workers.golang, "stranger", mount(register("stranger")), resource.Identifier)
	f.flows(t, "at first")
	eventually(t, "a client without an ACL is refused", func() bool { return strings.Contains(stranger.String(), "AUTHORIZATION_FAILED") })

	for client, dir := range dirs {
		remount(t, dir, issuer, caFile, client, newSecret(t, hallpass, client))
		endFormer(hallpass, client)
	}
	must(t, os.WriteFile(tokenFile, []byte(hallpass.AccountToken("orders")), 0o600))
	hallpass.RotateKeys()
	before := map[string]int{golang: 0, python: 0, orders: 0, billing: 0}
	for client := range before {
		before[client] = tokensOf(hallpass, client)
	}
	for client, tokens := range before {
		eventually(t, client+" has two more tokens", func() bool { return tokensOf(hallpass, client) >= tokens+2 })
	}
	f.flows(t, "after the rotations")
	f.loseNothing(t)

	hallpass.Suspend(golang)
	eventually(t, "a suspended client can produce no longer", func() bool { return strings.Contains(f.consumers["Go"].String(), "produce:") })
	if strings.Contains(f.consumers["Java"].String(), "stranger") {
		t.Error("a client without an ACL has produced")
	}
}
