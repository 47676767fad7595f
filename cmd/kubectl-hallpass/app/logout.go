// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/hallpass-dev/hallpass/cmd/kubectl-hallpass/issuer"
	"github.com/hallpass-dev/hallpass/cmd/kubectl-hallpass/show"
)

// logoutCommand ends logins.
type logoutCommand struct{ *plugin }

func (p logoutCommand) command() *cobra.Command {
	return &cobra.Command{
		Use: "logout", Short: "End your logins, and delete the tokens that are kept",
		Long: "End your logins at the token server, which revokes their tokens, and delete the tokens that token and login have kept on this machine. " +
			"Tokens that token has fetched with the credentials of a client stay valid until they expire; revoke ends them.",
		Example: "  kubectl hallpass logout",
		Args:    noArguments,
		RunE:    func(command *cobra.Command, _ []string) error { return p.runLogout(command.Context()) },
	}
}

// runLogout deletes everything that is kept, also if a login could not be ended.
func (p logoutCommand) runLogout(ctx context.Context) error {
	cache, err := issuer.NewCache(p.CacheDir)
	if err != nil {
		return err
	}
	logins, err := issuer.NewLogins(p.CacheDir)
	if err != nil {
		return err
	}
	var failed []error
	ended := 0
	for _, login := range logins.All() {
		if err := p.end(ctx, login); err != nil {
			failed = append(failed, fmt.Errorf("the login as %s at client %s/%s was deleted here, and not ended: %w. Its token ends by itself at %s; to revoke it now: kubectl hallpass revoke client %s --namespace %s",
				login.Person, login.Namespace, login.Client, err, login.Tokens.ExpiresAt.UTC().Format(time.RFC3339), login.Client, login.Namespace))
			continue
		}
		ended++
	}
	_, err = logins.Clear()
	failed = append(failed, err)
	deleted, err := cache.Clear()
	if err := joined(append(failed, err)); err != nil {
		return err
	}
	if ended > 0 {
		p.say("Ended %s.", show.Counted(ended, "login"))
	}
	p.say("Deleted %s from this machine.", show.Counted(deleted, "token"))
	return nil
}

// end revokes the grant of a login: by the refresh token, which lives longer, or else by the access
// token.
func (p logoutCommand) end(ctx context.Context, login issuer.Login) error {
	token := login.Tokens.Refresh
	if token.Empty() {
		if !login.Fresh(p.Now()) {
			return nil
		}
		token = login.Tokens.Value
	}
	// A cluster that is not reached is no reason to stop: most token servers are reached
	// directly.
	c, err := p.connect()
	if err != nil {
		c = nil
	}
	endpoint, err := p.endpointOf(login, c)
	if err != nil {
		return err
	}
	return endpoint.Revoke(ctx, login.RevocationURL, token)
}
