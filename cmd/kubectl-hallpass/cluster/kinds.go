// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
)

// Kind is a kind of the API server that the plugin reads or writes.
type Kind struct {
	// GVR is how requests name it.
	GVR schema.GroupVersionResource
	// Name is the kind, such as OAuth2Client.
	Name string
	// Noun is the noun of commands, such as clients.
	Noun string
	// Clusterwide is whether its objects are in no namespace.
	Clusterwide bool
}

// GVK is how objects name the kind.
func (k Kind) GVK() schema.GroupVersionKind { return k.GVR.GroupVersion().WithKind(k.Name) }

func ours(name, resource, noun string) Kind {
	return Kind{GVR: v1alpha1.GroupVersion.WithResource(resource), Name: name, Noun: noun}
}

func core(name, resource string) Kind {
	return Kind{GVR: schema.GroupVersionResource{Version: "v1", Resource: resource}, Name: name, Noun: resource}
}

// Clients are OAuth2Clients.
func Clients() Kind { return ours("OAuth2Client", "oauth2clients", "clients") }

// Resources are OAuth2Resources.
func Resources() Kind { return ours("OAuth2Resource", "oauth2resources", "resources") }

// Tokens are OAuth2Tokens.
func Tokens() Kind { return ours("OAuth2Token", "oauth2tokens", "tokens") }

// Issuers are OAuth2TrustedIssuers.
func Issuers() Kind {
	kind := ours("OAuth2TrustedIssuer", "oauth2trustedissuers", "issuers")
	kind.Clusterwide = true
	return kind
}

// Revocations are TokenRevocations.
func Revocations() Kind { return ours("TokenRevocation", "tokenrevocations", "tokenrevocations") }

// Secrets are those of Kubernetes.
func Secrets() Kind { return core("Secret", "secrets") }

// ConfigMaps are those of Kubernetes.
func ConfigMaps() Kind { return core("ConfigMap", "configmaps") }

// Events are those of Kubernetes.
func Events() Kind { return core("Event", "events") }

// Namespaces are those of Kubernetes.
func Namespaces() Kind {
	kind := core("Namespace", "namespaces")
	kind.Clusterwide = true
	return kind
}

// Accounts are ServiceAccounts.
func Accounts() Kind { return core("ServiceAccount", "serviceaccounts") }

// TokenRequests are requests for a token of a ServiceAccount.
func TokenRequests() Kind {
	return Kind{
		GVR:  schema.GroupVersionResource{Group: "authentication.k8s.io", Version: "v1", Resource: "tokenrequests"},
		Name: "TokenRequest", Noun: "tokenrequests",
	}
}

// Deployments are those of Kubernetes.
func Deployments() Kind {
	return Kind{GVR: schema.GroupVersionResource{Group: "apps", Version: "v1", Resource: "deployments"}, Name: "Deployment", Noun: "deployments"}
}

// Pods are those of Kubernetes.
func Pods() Kind { return core("Pod", "pods") }

// AccessReviews ask whether the caller may do something.
func AccessReviews() Kind {
	return Kind{
		GVR:  schema.GroupVersionResource{Group: "authorization.k8s.io", Version: "v1", Resource: "selfsubjectaccessreviews"},
		Name: "SelfSubjectAccessReview", Noun: "selfsubjectaccessreviews",
	}
}

// SelfReviews return the name of the caller.
func SelfReviews() Kind {
	return Kind{
		GVR:  schema.GroupVersionResource{Group: "authentication.k8s.io", Version: "v1", Resource: "selfsubjectreviews"},
		Name: "SelfSubjectReview", Noun: "selfsubjectreviews",
	}
}

// AdmissionPolicies are ValidatingAdmissionPolicies.
func AdmissionPolicies() Kind {
	return Kind{
		GVR:  schema.GroupVersionResource{Group: "admissionregistration.k8s.io", Version: "v1", Resource: "validatingadmissionpolicies"},
		Name: "ValidatingAdmissionPolicy", Noun: "validatingadmissionpolicies",
	}
}
