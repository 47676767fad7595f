// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package action

import (
	"context"
	"fmt"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/cmd/kubectl-hallpass/checkup"
	"github.com/hallpass-dev/hallpass/cmd/kubectl-hallpass/cluster"
	"github.com/hallpass-dev/hallpass/cmd/kubectl-hallpass/show"
	"github.com/hallpass-dev/hallpass/internal/registration"
)

const (
	// SystemNamespace is where the manager and the token server run by default.
	SystemNamespace = "hallpass-system"
	// PartOfUs selects the objects of an installation.
	PartOfUs = "app.kubernetes.io/part-of=hallpass"
)

// Examination checks an installation.
type Examination struct {
	// System and Registry are the namespaces of the processes and of the registrations.
	System, Registry string
	// Version is that of the plugin.
	Version string
	// Now is the clock of this machine.
	Now func() time.Time
}

// Findings are the results of the checks. What the caller may not read is unknown.
func (e Examination) Findings(ctx context.Context, c *cluster.Client) []checkup.Finding {
	findings := []checkup.Finding{e.examineClock(ctx, c)}
	findings = append(findings, e.examineReplicas(ctx, c.In(e.System))...)
	return append(findings, e.examineKeys(ctx, c.In(e.Registry)), e.examineCertificate(ctx, c.In(e.System)), examineAdmission(ctx, c), examineIssuers(ctx, c))
}

// Unread is the finding of a check that could not be made.
func Unread(check string, err error) checkup.Finding {
	if apierrors.IsForbidden(err) {
		return checkup.Finding{Check: check, State: checkup.Unknown, Sentence: "You may not read it; an administrator of the cluster may."}
	}
	return checkup.Finding{Check: check, State: checkup.Problem, Sentence: show.Sentence(err)}
}

func (e Examination) examineClock(ctx context.Context, c *cluster.Client) checkup.Finding {
	there, err := c.Time(ctx)
	if err != nil {
		return Unread("clock", err)
	}
	return checkup.Clock(e.Now(), there)
}

func (e Examination) examineReplicas(ctx context.Context, c *cluster.Client) []checkup.Finding {
	read, err := c.List(ctx, cluster.Deployments(), metav1.ListOptions{LabelSelector: PartOfUs})
	if err != nil {
		return []checkup.Finding{Unread("manager and tokenserver", err)}
	}
	deployments, err := cluster.All[appsv1.Deployment](read.Items)
	if err != nil {
		return []checkup.Finding{Unread("manager and tokenserver", err)}
	}
	var findings []checkup.Finding
	var versions []string
	for _, component := range []string{"manager", "tokenserver"} {
		found := ofComponent(deployments, component)
		if found != nil {
			versions = append(versions, checkup.Version(found))
		}
		findings = append(findings, checkup.Replicas(component, found))
	}
	return append(findings, checkup.Versions(e.Version, versions...))
}

// ofComponent is the Deployment of a component; nil if there is none.
func ofComponent(deployments []appsv1.Deployment, component string) *appsv1.Deployment {
	for i := range deployments {
		if deployments[i].Labels["app.kubernetes.io/component"] == component {
			return &deployments[i]
		}
	}
	return nil
}

func (e Examination) examineKeys(ctx context.Context, c *cluster.Client) checkup.Finding {
	secret, err := cluster.Read[corev1.Secret](ctx, c, cluster.Secrets(), registration.KeysSecretName)
	if err != nil {
		return Unread("signing keys", err)
	}
	ring, err := registration.DecodeKeys(secret.Data)
	if err != nil {
		return Unread("signing keys", err)
	}
	return checkup.Keys(ring, e.Now())
}

func (e Examination) examineCertificate(ctx context.Context, c *cluster.Client) checkup.Finding {
	secret, err := cluster.Read[corev1.Secret](ctx, c, cluster.Secrets(), cluster.ServingSecretName)
	if err != nil {
		return Unread("certificate", err)
	}
	return checkup.Certificate(secret.Data[corev1.TLSCertKey], e.Now())
}

func examineIssuers(ctx context.Context, c *cluster.Client) checkup.Finding {
	read, err := c.List(ctx, cluster.Issuers(), metav1.ListOptions{})
	if cluster.IsMissingKind(err) {
		return checkup.Finding{Check: checkup.IssuersCheck, State: checkup.OK, Sentence: "The cluster has no OAuth2TrustedIssuers, as in an installation for chosen namespaces."}
	}
	if err != nil {
		return Unread(checkup.IssuersCheck, err)
	}
	issuers, err := cluster.All[v1alpha1.OAuth2TrustedIssuer](read.Items)
	if err != nil {
		return Unread(checkup.IssuersCheck, err)
	}
	return checkup.Issuers(issuers)
}

func examineAdmission(ctx context.Context, c *cluster.Client) checkup.Finding {
	read, err := c.In(metav1.NamespaceAll).List(ctx, cluster.AdmissionPolicies(), metav1.ListOptions{LabelSelector: PartOfUs})
	switch {
	case err != nil:
		return Unread("admission policies", err)
	case len(read.Items) == 0:
		return checkup.Finding{
			Check: "admission policies", State: checkup.Problem, Sentence: "There are none of Hallpass, so its service account may write more than it needs to.",
			Do: "Apply config/admission, or set admissionPolicies: true in the values of the chart.",
		}
	}
	return checkup.Finding{Check: "admission policies", State: checkup.OK, Sentence: fmt.Sprintf("Those of Hallpass are there: %d.", len(read.Items))}
}
