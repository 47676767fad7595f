// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/url"
	"regexp"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/internal/registration"
)

// attempt is the request that failed.
type attempt struct {
	verb string
	kind Kind
	name string
}

// explainedError is an error of the API server with a sentence that explains what to do.
type explainedError struct {
	sentence string
	cause    error
}

func (e *explainedError) Error() string { return e.sentence }
func (e *explainedError) Unwrap() error { return e.cause }

// explain returns an error with a sentence. errors.As still finds that of the API server.
func (c *Client) explain(err error, a attempt) error {
	sentence := c.sentence(err, a)
	if sentence == "" {
		sentence = fmt.Sprintf("could not %s %s: %v", a.verb, c.object(a), err)
	}
	return &explainedError{sentence, err}
}

func (c *Client) sentence(err error, a attempt) string {
	switch {
	case apierrors.IsForbidden(err):
		return fmt.Sprintf("you may not do that: %s. %s", strings.TrimRight(err.Error(), "."), a.whoCan())
	case apierrors.IsUnauthorized(err):
		return "the API server does not accept your login, or it has expired. Log in again as your cluster wants it, " +
			"or choose another user with --context or --user"
	case IsMissingKind(err) && a.kind == Issuers():
		return fmt.Sprintf("the cluster at %s has no OAuth2TrustedIssuers, so its clients cannot authenticate by FederatedToken. An installation for chosen namespaces has none, "+
			"and Hallpass has to be installed for the whole cluster; if it is, it is older than this plugin", c.Config.Host)
	case IsMissingKind(err):
		return fmt.Sprintf("the cluster at %s has no %s of %s. Install Hallpass there, or choose another cluster with --context; "+
			"if Hallpass is installed, install the plugin of its version", c.Config.Host, a.kind.Name, v1alpha1.GroupVersion)
	case apierrors.IsNotFound(err) && details(err).Kind == Namespaces().GVR.Resource && a.kind == Revocations():
		return fmt.Sprintf("there is no namespace %q for registrations. %s", details(err).Name, nameRegistry)
	case apierrors.IsNotFound(err) && details(err).Kind == Namespaces().GVR.Resource:
		return fmt.Sprintf("there is no namespace %q. Choose another one with --namespace, or create it; kubectl get namespaces lists them", details(err).Name)
	case apierrors.IsNotFound(err):
		return fmt.Sprintf("there is no %s. %s", c.object(a), c.lookFor(a))
	case apierrors.IsAlreadyExists(err):
		return fmt.Sprintf("there is already %s. Choose another name, or see that one: kubectl hallpass describe %s %s --namespace %s",
			c.object(a), strings.TrimSuffix(a.kind.Noun, "s"), a.name, c.Namespace)
	case (apierrors.IsBadRequest(err) || apierrors.IsInvalid(err)) && len(unknownFields(err)) > 0:
		return fmt.Sprintf("the Hallpass of the cluster at %s is older than this plugin: %s has no %s there. Leave that out, upgrade Hallpass, "+
			"or install the plugin of its version; kubectl hallpass version has both", c.Config.Host, a.kind.Name, strings.Join(unknownFields(err), " and no "))
	case apierrors.IsInvalid(err), apierrors.IsBadRequest(err):
		return fmt.Sprintf("the API server refuses %s: %s", c.object(a), causes(err))
	}
	return c.unreachable(err)
}

// loginFailed begins the errors of client-go about a login plugin.
const loginFailed = "getting credentials: "

// unreachable is the sentence about an API server that does not answer, or empty.
func (c *Client) unreachable(err error) string {
	var request *url.Error
	var network net.Error
	var untrusted *tls.CertificateVerificationError
	switch {
	case errors.Is(err, context.Canceled):
		return "interrupted"
	case errors.As(err, &untrusted):
		return fmt.Sprintf("the certificate of the API server at %s is not trusted: %v. Check whether the kubeconfig is that of this cluster and of today, "+
			"and whether a proxy answers in its place", c.Config.Host, untrusted.Err)
	case errors.As(err, &network) && network.Timeout() && c.Config.ExecProvider != nil:
		return fmt.Sprintf("the API server at %s did not answer in time, or the login plugin %s of the kubeconfig still waits. "+
			"Check whether it has opened a browser or asks in the terminal, and the network or the VPN; or raise --request-timeout", c.Config.Host, c.Config.ExecProvider.Command)
	case errors.As(err, &network) && network.Timeout():
		return fmt.Sprintf("the API server at %s did not answer in time. Check the network or the VPN, or raise --request-timeout", c.Config.Host)
	case errors.As(err, &request) && c.Config.ExecProvider != nil && strings.HasPrefix(request.Err.Error(), loginFailed):
		cause, _, _ := strings.Cut(strings.TrimPrefix(request.Err.Error(), loginFailed), "\n")
		return fmt.Sprintf("the login plugin %s of the kubeconfig failed: %s. Install it, or log in again as your cluster wants it", c.Config.ExecProvider.Command, cause)
	case errors.As(err, &request):
		return fmt.Sprintf("the API server at %s cannot be reached: %v. Check the network or the VPN, or choose another cluster with --context",
			c.Config.Host, request.Err)
	}
	return ""
}

// object names what a request was about.
func (c *Client) object(a attempt) string {
	name := a.kind.Name
	if a.name != "" {
		name = fmt.Sprintf("%s %q", a.kind.Name, a.name)
	}
	if c.Namespace != "" && !a.kind.Clusterwide {
		name += fmt.Sprintf(" in namespace %q", c.Namespace)
	}
	return name
}

// ServingSecretName is the Secret with the serving certificate of the token server.
const ServingSecretName = "hallpass-tokenserver-tls"

const (
	nameRegistry = "Name the namespace of the registrations with --registry-namespace, or install Hallpass"
	nameSystem   = "Name the namespace of the installation with --system-namespace, or install Hallpass"
)

// lookFor explains how to find the right name.
func (c *Client) lookFor(a attempt) string {
	switch {
	case a.kind == Secrets() && a.name == registration.KeysSecretName:
		return nameRegistry
	case a.kind == Secrets() && a.name == ServingSecretName:
		return nameSystem
	}
	switch a.kind {
	case Clients(), Resources(), Tokens():
		return fmt.Sprintf("kubectl hallpass get %s --namespace %s lists those that there are; choose another namespace with --namespace", a.kind.Noun, c.Namespace)
	case Issuers():
		return "kubectl hallpass get issuers lists those that there are"
	}
	return "Choose another namespace with --namespace, or create it"
}

// whoCan names the rights that are needed and the users who have them.
func (a attempt) whoCan() string {
	switch a.kind {
	case Clients(), Resources(), Tokens():
		if a.verb == "get" || a.verb == "list" || a.verb == "watch" {
			return "The role view of the namespace is enough; ask its administrator"
		}
		return "The role edit of the namespace is enough; ask its administrator"
	case Secrets(), ConfigMaps(), Accounts(), Events():
		if a.name == registration.KeysSecretName {
			return "It has the private keys too, so an administrator of the cluster alone may read it"
		}
		return "The role edit of the namespace is enough; ask its administrator"
	}
	return "Ask the administrator of the cluster"
}

// IsMissingKind reports whether the API server does not serve the kind of a request, as opposed to
// an object that is not there.
func IsMissingKind(err error) bool {
	return apierrors.IsNotFound(err) && details(err).Name == ""
}

// details are those of an error of the API server.
func details(err error) metav1.StatusDetails {
	var status apierrors.APIStatus
	if !errors.As(err, &status) || status.Status().Details == nil {
		return metav1.StatusDetails{}
	}
	return *status.Status().Details
}

var unknownField = regexp.MustCompile(`unknown field "([^"]*)"`)

// unknownFields are the fields that the API server does not know of an object that it refuses.
func unknownFields(err error) []string {
	var fields []string
	for _, found := range unknownField.FindAllStringSubmatch(err.Error(), -1) {
		fields = append(fields, found[1])
	}
	return fields
}

// notChecked ends what the API server adds about the rules that it has not come to.
const notChecked = "correct the existing errors to complete validation"

// causes are the sentences of the rules that an object breaks, without the object, which is long.
func causes(err error) string {
	var all []string
	for _, cause := range details(err).Causes {
		sentence := cause.Message
		if strings.HasSuffix(sentence, notChecked) {
			continue
		}
		if _, rule, found := strings.Cut(sentence, `": `); found && strings.HasPrefix(sentence, "Invalid value: ") {
			sentence = rule
		}
		if _, rule, found := strings.Cut(sentence, "}: "); found && strings.HasPrefix(sentence, "Invalid value: {") {
			sentence = rule
		}
		sentence = strings.TrimPrefix(strings.TrimPrefix(sentence, "Invalid value: "), cause.Field+" in body ")
		if cause.Field != "" && cause.Field != "<nil>" {
			sentence = cause.Field + ": " + sentence
		}
		all = append(all, sentence)
	}
	if len(all) == 0 {
		return err.Error()
	}
	return strings.Join(all, "; ")
}

// Late is the sentence about an API server that has not answered in time, or a login plugin of the
// kubeconfig that has not ended.
func Late(config *rest.Config, after time.Duration) string {
	if config.ExecProvider != nil {
		return fmt.Sprintf("the API server at %s has not answered within %s, or the login plugin %s of the kubeconfig still waits. "+
			"Check whether it has opened a browser or asks in the terminal, and the network or the VPN", config.Host, after, config.ExecProvider.Command)
	}
	return fmt.Sprintf("the API server at %s has not answered within %s. Check the network or the VPN", config.Host, after)
}
