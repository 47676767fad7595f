// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

// Command validators reads manifests, files of YAML documents, and reports what the API server of
// one minor version of Kubernetes refuses. CustomResourceDefinitions go through that version's own
// validation, expressions of ValidatingAdmissionPolicies through its compiler, and every other
// object is decoded strictly into its types: a field that the version does not know is a finding.
//
// go.mod has the modules of the newest version but one, v1.X.mod those of version 1.X (go build
// -modfile). The tests of the repository run on an API server of the newest version.
package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/google/cel-go/cel"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	crdv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/validation"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	admissioncel "k8s.io/apiserver/pkg/admission/plugin/cel"
	"k8s.io/apiserver/pkg/cel/environment"
	"k8s.io/component-base/version"
	"sigs.k8s.io/yaml"
)

// kinds are those that an installation has.
var kinds = map[string]func() any{ //nolint:gochecknoglobals // a constant table
	"v1/ConfigMap":                                                     func() any { return &corev1.ConfigMap{} },
	"v1/Namespace":                                                     func() any { return &corev1.Namespace{} },
	"v1/Secret":                                                        func() any { return &corev1.Secret{} },
	"v1/Service":                                                       func() any { return &corev1.Service{} },
	"v1/ServiceAccount":                                                func() any { return &corev1.ServiceAccount{} },
	"apps/v1/Deployment":                                               func() any { return &appsv1.Deployment{} },
	"policy/v1/PodDisruptionBudget":                                    func() any { return &policyv1.PodDisruptionBudget{} },
	"networking.k8s.io/v1/Ingress":                                     func() any { return &networkingv1.Ingress{} },
	"networking.k8s.io/v1/NetworkPolicy":                               func() any { return &networkingv1.NetworkPolicy{} },
	"autoscaling/v2/HorizontalPodAutoscaler":                           func() any { return &autoscalingv2.HorizontalPodAutoscaler{} },
	"rbac.authorization.k8s.io/v1/ClusterRole":                         func() any { return &rbacv1.ClusterRole{} },
	"rbac.authorization.k8s.io/v1/ClusterRoleBinding":                  func() any { return &rbacv1.ClusterRoleBinding{} },
	"rbac.authorization.k8s.io/v1/Role":                                func() any { return &rbacv1.Role{} },
	"rbac.authorization.k8s.io/v1/RoleBinding":                         func() any { return &rbacv1.RoleBinding{} },
	"apiextensions.k8s.io/v1/CustomResourceDefinition":                 func() any { return &crdv1.CustomResourceDefinition{} },
	"admissionregistration.k8s.io/v1/ValidatingAdmissionPolicy":        func() any { return &admissionv1.ValidatingAdmissionPolicy{} },
	"admissionregistration.k8s.io/v1/ValidatingAdmissionPolicyBinding": func() any { return &admissionv1.ValidatingAdmissionPolicyBinding{} },
}

// foreign are the API groups of other projects, whose validation is theirs.
var foreign = []string{"cert-manager.io", "gateway.networking.k8s.io", "monitoring.coreos.com"} //nolint:gochecknoglobals // a constant table

func main() {
	if err := run(os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "validators:", err)
		os.Exit(1)
	}
}

// run prints a line for each finding and one for all, and fails if there is a finding.
func run(files []string, out io.Writer) error {
	judged, refused := 0, 0
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			return fmt.Errorf("read a manifest: %w", err)
		}
		for documents := utilyaml.NewYAMLReader(bufio.NewReader(bytes.NewReader(content))); ; {
			document, err := documents.Read()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				return fmt.Errorf("read a manifest: %s: %w", file, err)
			}
			name, findings := judge(document)
			if name == "" {
				continue
			}
			judged++
			for _, finding := range findings {
				refused++
				fmt.Fprintf(out, "%s: %s: %v\n", file, name, finding)
			}
		}
	}
	fmt.Fprintf(out, "Kubernetes %s: %d objects, %d findings\n", version.DefaultKubeBinaryVersion, judged, refused)
	if judged == 0 || refused > 0 {
		return errors.New("not every object is accepted")
	}
	return nil
}

// judge returns what a document's object is and what is wrong with it. It returns no name for a
// document without an object and for an object of a foreign group.
func judge(document []byte) (name string, findings []error) {
	var meta metav1.PartialObjectMetadata
	if err := yaml.Unmarshal(document, &meta); err != nil {
		return "a document", []error{err}
	}
	group, _, _ := strings.Cut(meta.APIVersion, "/")
	if meta.Kind == "" || slices.Contains(foreign, group) {
		return "", nil
	}
	name = meta.APIVersion + "/" + meta.Kind
	create, known := kinds[name]
	if !known {
		return name, []error{errors.New("this program has no type for this kind")}
	}
	object := create()
	if err := yaml.UnmarshalStrict(document, object); err != nil {
		return name + " " + meta.Name, []error{err}
	}
	switch object := object.(type) {
	case *crdv1.CustomResourceDefinition:
		findings = definition(object)
	case *admissionv1.ValidatingAdmissionPolicy:
		findings = policy(object)
	}
	return name + " " + meta.Name, findings
}

// definition validates a CustomResourceDefinition as the API server does when it is created.
func definition(crd *crdv1.CustomResourceDefinition) []error {
	crdv1.SetDefaults_CustomResourceDefinition(crd)
	crdv1.SetDefaults_CustomResourceDefinitionSpec(&crd.Spec)
	var internal apiextensions.CustomResourceDefinition
	if err := crdv1.Convert_v1_CustomResourceDefinition_To_apiextensions_CustomResourceDefinition(crd, &internal, nil); err != nil {
		return []error{err}
	}
	for _, v := range crd.Spec.Versions {
		if v.Storage {
			internal.Status.StoredVersions = append(internal.Status.StoredVersions, v.Name)
		}
	}
	var findings []error
	for _, err := range validation.ValidateCustomResourceDefinition(context.Background(), &internal) {
		findings = append(findings, err)
	}
	return findings
}

// expression is one of an admission policy.
type expression struct {
	name, text string
	returns    []*cel.Type
}

func (e expression) GetName() string          { return e.name }
func (e expression) GetExpression() string    { return e.text }
func (e expression) ReturnTypes() []*cel.Type { return e.returns }

// policy compiles the expressions of a ValidatingAdmissionPolicy in the environment that the API
// server has for new ones.
func policy(p *admissionv1.ValidatingAdmissionPolicy) []error {
	compiler, err := admissioncel.NewCompositedCompiler(base())
	if err != nil {
		return []error{err}
	}
	var findings []error
	check := func(kind string, e expression, result admissioncel.CompilationResult) {
		if result.Error != nil {
			findings = append(findings, fmt.Errorf("%s %q: %s", kind, e.text, result.Error.Detail))
		}
	}
	for _, v := range p.Spec.Variables {
		e := expression{v.Name, v.Expression, []*cel.Type{cel.AnyType, cel.DynType}}
		check("variable", e, compiler.CompileAndStoreVariable(e, declared, environment.NewExpressions))
	}
	for _, c := range p.Spec.MatchConditions {
		e := expression{c.Name, c.Expression, []*cel.Type{cel.BoolType}}
		check("match condition", e, admissioncel.NewCompiler(base()).CompileCELExpression(e, declared, environment.NewExpressions))
	}
	for _, v := range p.Spec.Validations {
		e := expression{"", v.Expression, []*cel.Type{cel.BoolType}}
		check("validation", e, compiler.CompileCELExpression(e, declared, environment.NewExpressions))
		if v.MessageExpression != "" {
			e := expression{"", v.MessageExpression, []*cel.Type{cel.StringType}}
			check("message expression", e, compiler.CompileCELExpression(e, declared, environment.NewExpressions))
		}
	}
	return findings
}
