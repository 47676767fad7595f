// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"errors"
	"fmt"
	"regexp"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/hallpass-dev/hallpass/cmd/kubectl-hallpass/cluster"
	"github.com/hallpass-dev/hallpass/cmd/kubectl-hallpass/show"
)

// missingInKubeconfig is an error about a context, a cluster or a user.
var missingInKubeconfig = regexp.MustCompile(`^(context|cluster|auth info) ".*" does not exist`)

// connect makes a client of the namespace that the flags name, or else the context.
func (p *plugin) connect() (*cluster.Client, error) {
	loader := p.flags.ToRawKubeConfigLoader()
	raw, err := loader.RawConfig()
	if err != nil {
		return nil, fmt.Errorf("the kubeconfig cannot be read: %w. Correct it, or choose another one with --kubeconfig", err)
	}
	config, err := p.flags.ToRESTConfig()
	switch {
	case clientcmd.IsEmptyConfig(err), err == nil && len(raw.Clusters) == 0 && *p.flags.APIServer == "" && config.Host == clientcmd.ClusterDefaults.Server:
		return nil, errors.New("there is no cluster to talk to: no kubeconfig was found. Set KUBECONFIG, or name one with --kubeconfig; " +
			"kubectl config get-contexts lists what kubectl finds")
	case err != nil && !missingInKubeconfig.MatchString(err.Error()):
		return nil, fmt.Errorf("%w. Correct the flag or the kubeconfig", err)
	case err != nil:
		return nil, fmt.Errorf("%w. kubectl config get-contexts lists the contexts that there are; choose one with --context", err)
	}
	namespace, _, err := loader.Namespace()
	if err != nil {
		return nil, fmt.Errorf("find the namespace: %w", err)
	}
	if problems := validation.IsDNS1123Label(namespace); len(problems) > 0 {
		return nil, usagef("%q cannot be the name of a namespace: %s", namespace, problems[0])
	}
	config.WarningHandler = rest.NewWarningWriter(p.ErrOut, rest.WarningWriterOptions{Deduplicate: true})
	config.UserAgent = "kubectl-hallpass/" + p.Version
	c, err := cluster.New(config, namespace)
	if err != nil {
		return nil, err
	}
	c.Slow, c.Patience = p.slow(config), p.Patience
	return c, nil
}

// contextName is the context of the kubeconfig that is used.
func (p *plugin) contextName() string {
	if name := *p.flags.Context; name != "" {
		return name
	}
	raw, err := p.flags.ToRawKubeConfigLoader().RawConfig()
	if err != nil || raw.CurrentContext == "" {
		return "none"
	}
	return raw.CurrentContext
}

// slow reports what a request waits for: the API server, or a login plugin of the kubeconfig, which
// may wait for a person.
func (p *plugin) slow(config *rest.Config) func() {
	login := ""
	if config.ExecProvider != nil {
		login = fmt.Sprintf(", or for the login plugin %s of the kubeconfig", config.ExecProvider.Command)
	}
	return func() { p.say("Still waiting for the API server at %s%s. Ctrl-C ends it.", config.Host, login) }
}

// say prints a sentence for people.
func (p *plugin) say(format string, args ...any) {
	_, _ = fmt.Fprintln(p.ErrOut, show.Plain(fmt.Sprintf(format, args...)))
}

func checkName(what, name string) error {
	if problems := validation.IsDNS1123Subdomain(name); len(problems) > 0 {
		return usagef("%q cannot be the name of %s: %s", name, withArticle(what), strings.TrimSuffix(problems[0], "."))
	}
	return nil
}

func withArticle(noun string) string {
	if strings.HasPrefix(noun, "i") {
		return "an " + noun
	}
	return "a " + noun
}
