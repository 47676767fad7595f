// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package consumers_test

import (
	"bufio"
	"encoding/base64"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hallpass-dev/hallpass/test/kit/memory"
)

// dovecotAround is what the page leaves to the reader: where mail is, and how Dovecot runs. A
// failed login has no penalty, so that the test does not wait.
const dovecotAround = `
protocols = imap
base_dir = %[1]s/run
state_dir = %[1]s/state
log_path = /dev/stderr
ssl = no
disable_plaintext_auth = no
mail_location = maildir:%[1]s/mail/%%u
first_valid_uid = 1
listen = 127.0.0.1
auth_failure_delay = 0
service anvil {
  unix_listener anvil-auth-penalty {
    mode = 0
  }
}
userdb {
  driver = static
  args = uid=nobody gid=nogroup home=%[1]s/mail/%%u
}
service imap-login {
  inet_listener imap {
    address = 127.0.0.1
    port = %[2]s
  }
  inet_listener imaps {
    port = 0
  }
}
`

// login sends a token by OAUTHBEARER (RFC 7628), and returns the answer to it.
func login(t *testing.T, address, user, token string) string {
	t.Helper()
	connection, err := net.Dial("tcp", address) //nolint:noctx // on loopback
	if err != nil {
		return err.Error()
	}
	defer func() { _ = connection.Close() }()
	must(t, connection.SetDeadline(time.Now().Add(time.Minute)))
	lines := bufio.NewReader(connection)
	if _, err = lines.ReadString('\n'); err != nil { // the greeting
		return "closed: " + err.Error()
	}
	message := base64.StdEncoding.EncodeToString([]byte("n,a=" + user + ",\x01host=localhost\x01port=143\x01auth=Bearer " + token + "\x01\x01"))
	_, err = fmt.Fprintf(connection, "a AUTHENTICATE OAUTHBEARER %s\r\n", message)
	must(t, err)
	for {
		line, err := lines.ReadString('\n')
		if err != nil {
			return "closed: " + err.Error()
		}
		// the reason of a refusal, which has to be acknowledged
		if strings.HasPrefix(line, "+") {
			_, err = fmt.Fprint(connection, "AQ==\r\n")
			must(t, err)
		}
		if strings.HasPrefix(line, "a ") {
			return strings.TrimSpace(line)
		}
	}
}

// Dovecot introspects the token of each login: another user's, one without the scope, and one of a
// suspended client are refused.
func TestDovecotLogsInByToken(t *testing.T) {
	program := installed(t, "dovecot")
	if os.Geteuid() != 0 {
		t.Skip("Dovecot starts its services as root")
	}
	listener := memory.Listen(t)
	_, port, _ := strings.Cut(listener.Addr().String(), ":")
	issuer := "localhost:" + port
	hallpass := memory.New(t, "https://"+issuer)
	caFile := hallpass.Serve(listener)
	server, reader, writer := hallpass.Register("dovecot"), hallpass.Register("reader", "mail.read"), hallpass.Register("writer", "mail.write")
	extra := configure(t, "dovecot-hallpass.conf.ext",
		"hallpass.example.com", issuer, "mail.dovecot", server, "CLIENT_SECRET", hallpass.Secret(server), "/etc/oauth2/ca.crt", caFile)
	config := configure(t, "dovecot.conf", "/etc/dovecot/hallpass.conf.ext", extra)
	dir, err := os.MkdirTemp("", "dovecot-") //nolint:usetesting // the path of a socket has at most 108 bytes
	must(t, err)
	t.Cleanup(func() { must(t, os.RemoveAll(dir)) })
	free := memory.Listen(t)
	address := free.Addr().String()
	must(t, free.Close())
	_, imap, _ := strings.Cut(address, ":")
	must(t, os.Mkdir(filepath.Join(dir, "mail"), 0o777))
	for _, path := range []string{dir, filepath.Join(dir, "mail"), filepath.Dir(extra), filepath.Dir(filepath.Dir(extra))} {
		must(t, os.Chmod(path, 0o777))
	}
	must(t, os.Chmod(extra, 0o644))
	text, err := os.ReadFile(config)
	must(t, err)
	must(t, os.WriteFile(config, append(text, fmt.Sprintf(dovecotAround, dir, imap)...), 0o644))
	run(t, program, "-F", "-c", config)

	good, other := hallpass.Token(reader), hallpass.Token(writer)
	answer := ""
	eventually(t, "a login by token", func() bool {
		answer = login(t, address, reader, good)
		return strings.HasPrefix(answer, "a OK")
	})
	for name, c := range map[string][2]string{"another user": {writer, good}, "without the scope": {writer, other}, "no token": {reader, "nonsense"}} {
		if got := login(t, address, c[0], c[1]); !strings.HasPrefix(got, "a NO") {
			t.Errorf("%s: %s", name, got)
		}
	}
	hallpass.Suspend(reader)
	if got := login(t, address, reader, good); !strings.HasPrefix(got, "a NO") {
		t.Errorf("a suspended client: %s", got)
	}
}
