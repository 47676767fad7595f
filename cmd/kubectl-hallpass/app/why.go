// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/cmd/kubectl-hallpass/action"
	"github.com/hallpass-dev/hallpass/cmd/kubectl-hallpass/cluster"
	"github.com/hallpass-dev/hallpass/cmd/kubectl-hallpass/show"
	"github.com/hallpass-dev/hallpass/cmd/kubectl-hallpass/verdict"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
)

// whyCommand explains why something is refused.
type whyCommand struct{ *plugin }

// asking are the flags of why.
type asking struct {
	verdict.Request

	tokenFile string
	requestID string
	system    string
	all       bool
	format    string
}

func (p whyCommand) command() *cobra.Command {
	var o asking
	command := &cobra.Command{
		Use: "why CLIENT [--resource RESOURCE] [--scope SCOPE] | --token-file FILE | --request-id ID", Short: "Explain why a client or a token is refused, or would be, and what to do",
		Long: "Explain why a client gets no token, or why its token is refused, and what to do: in one sentence, by what the cluster knows. " +
			"The reason is the word that conditions, audit lines and metrics have.\n\n" +
			"A token is read from a file, or from standard input with --token-file -. Its signature is not verified.\n\n" +
			"A request is found by its id, which every answer has in X-Request-Id, in the audit lines of the token servers. " +
			"For that you need the right to read the logs of their Pods. Of many refusals in one second some are counted and have no line.\n\n" +
			"The exit code is 0 if nothing is refused, and 3 if something is.",
		Example: "  # Why is the scope missing?\n  kubectl hallpass why reporting --resource orders/orders-api --scope orders.read\n\n" +
			"  # What is wrong with this token?\n  kubectl hallpass why --token-file - <token.txt\n\n" +
			"  # Why was this request refused?\n  kubectl hallpass why --request-id 5f0c8a1e2b",
		ValidArgsFunction: p.completeNames(cluster.Clients(), false),
	}
	flags := command.Flags()
	flags.StringVar(&o.Resource, "resource", "", "API that is asked for: NAME, NAMESPACE/NAME or its identifier; left out the default of the client")
	flags.StringSliceVar(&o.Scopes, "scope", nil, "Scopes that are asked for; left out all that are granted")
	flags.StringVar(&o.tokenFile, "token-file", "", "File with a token, or - for standard input")
	flags.StringVar(&o.requestID, "request-id", "", "X-Request-Id of an answer of the token server, or of the request")
	flags.StringVar(&o.system, "system-namespace", action.SystemNamespace, "Namespace of the token servers, if the installation has another one")
	flags.BoolVarP(&o.all, "all-namespaces", "A", false, "Look for the OAuth2Token of an opaque token in all namespaces")
	formatFlag(command, &o.format)
	mustComplete(command, "resource", p.completeNames(cluster.Resources(), true))
	command.Args = o.check
	command.RunE = func(command *cobra.Command, args []string) error { return p.runWhy(command.Context(), o, args) }
	return command
}

func (o *asking) check(command *cobra.Command, args []string) error {
	switch {
	case o.tokenFile == "" && o.requestID == "":
		return names("client", 1, 1)(command, args)
	case o.tokenFile != "" && o.requestID != "":
		return usagef("give --token-file or --request-id, not both")
	case len(args) > 0 || o.Resource != "" || len(o.Scopes) > 0:
		return usagef("a token or a request has for which client, API and scopes it is: leave out the name, --resource and --scope")
	}
	return nil
}

func (p whyCommand) runWhy(ctx context.Context, o asking, args []string) error {
	c, err := p.connect()
	if err != nil {
		return err
	}
	if o.tokenFile != "" {
		token, err := p.readToken(o.tokenFile)
		if err != nil {
			return err
		}
		v, err := p.ofToken(ctx, c, token, o.all)
		if err != nil {
			return err
		}
		return p.printVerdict(v, nil, o.format)
	}
	if o.requestID != "" {
		decision, err := findDecision(ctx, c.In(o.system), o.requestID)
		if err != nil {
			return err
		}
		return p.printVerdict(verdict.OfDecision(*decision), nil, o.format)
	}
	client, err := cluster.Read[v1alpha1.OAuth2Client](ctx, c, cluster.Clients(), args[0])
	if err != nil {
		return err
	}
	v, err := ofClient(ctx, c, client, o.Request)
	if err != nil {
		return err
	}
	return p.printVerdict(v, client.Status.Refusals, o.format)
}

// ofClient decides about a token request of a client, and about its trusted issuer if the caller
// may read that.
func ofClient(ctx context.Context, c *cluster.Client, client *v1alpha1.OAuth2Client, r verdict.Request) (verdict.Verdict, error) {
	v := verdict.OfClient(client, r)
	issuer, err := action.IssuerOf(ctx, c, client)
	switch {
	case apierrors.IsForbidden(err):
		return verdict.WithoutIssuer(v, client), nil
	case apierrors.IsNotFound(err):
		return verdict.WithIssuer(v, client, nil), nil
	case err != nil || issuer == nil:
		return v, err
	}
	return verdict.WithIssuer(v, client, issuer), nil
}

// findDecision finds the audit line of a request in the logs of the token servers.
func findDecision(ctx context.Context, c *cluster.Client, requestID string) (*verdict.Decision, error) {
	var decision *verdict.Decision
	read, err := c.Logs(ctx, func(_ string, log io.Reader) (found bool, err error) {
		decision, err = verdict.FindDecision(log, requestID)
		return decision != nil, err
	})
	switch {
	case err != nil:
		return nil, err
	case read == 0:
		return nil, fmt.Errorf("there are no Pods of the token server in namespace %q; name its namespace with --system-namespace", c.Namespace)
	case decision == nil:
		return nil, fmt.Errorf("none of the logs of %d Pods has a request with the id %q. The log may have been rotated, the Pod that answered may be gone, "+
			"or the refusal was counted with others of that second and has no line of its own: check the metric hallpass_requests_total", read, requestID)
	}
	return decision, nil
}

// readToken reads a token from a file or from standard input.
func (p *plugin) readToken(file string) (oauth2.Secret, error) {
	if file == "-" {
		if p.Terminal() {
			p.say("Paste the token, and then press Enter and Ctrl-D.")
		}
		return action.ReadToken(p.In, "standard input")
	}
	opened, err := os.Open(file) //nolint:gosec // the file that the user names
	if err != nil {
		return oauth2.Secret{}, fmt.Errorf("read the token: %w", err)
	}
	defer func() { _ = opened.Close() }()
	return action.ReadToken(opened, file)
}

func (p whyCommand) ofToken(ctx context.Context, c *cluster.Client, token oauth2.Secret, all bool) (verdict.Verdict, error) {
	if strings.HasPrefix(token.Reveal(), oauth2.OpaqueTokenPrefix) {
		owner, err := action.TokenOf(ctx, c, token, all)
		return verdict.OfOpaque(owner, p.Now()), err
	}
	claims, err := verdict.ReadClaims(token)
	if err != nil {
		return verdict.Verdict{}, err
	}
	client, err := action.ClientOf(ctx, c, claims)
	return verdict.OfToken(claims, client, p.Now()), err
}

// printed is a verdict as programs read it.
type printed struct {
	Allowed  bool                     `json:"allowed"`
	Reason   string                   `json:"reason,omitempty"`
	Sentence string                   `json:"sentence"`
	Do       string                   `json:"do,omitempty"`
	Lately   []v1alpha1.RefusalStatus `json:"lately,omitempty"`
}

// printVerdict prints a verdict, and what was refused lately. It returns errRefused if something is
// refused.
func (p whyCommand) printVerdict(v verdict.Verdict, lately []v1alpha1.RefusalStatus, format string) error {
	var err error
	if format == "" {
		err = p.text(verdictSentence(v, lately))
	} else {
		err = p.document(printed{v.Allowed, v.Reason, v.Sentence, v.Do, lately}, format)
	}
	if err == nil && !v.Allowed {
		return errRefused
	}
	return err
}

func verdictSentence(v verdict.Verdict, lately []v1alpha1.RefusalStatus) string {
	var text strings.Builder
	if v.Reason != "" {
		text.WriteString(v.Reason + ": ")
	}
	text.WriteString(v.Sentence + "\n")
	if v.Do != "" {
		text.WriteString("-> " + v.Do + "\n")
	}
	if len(lately) > 0 {
		text.WriteString("Refused to it in the last seven days:\n")
	}
	for _, r := range lately {
		fmt.Fprintf(&text, "  %s, last at %s. %s\n", r.Reason, r.LastRefusedAt.UTC().Format("2006-01-02T15:04Z"), r.Text())
	}
	return show.Plain(text.String())
}
