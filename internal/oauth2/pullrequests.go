// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth2

import (
	"cmp"
	"slices"
	"strings"
)

// OpenToPullRequests reports whether the JWTs that a client names may be those of a job that
// somebody without the right to push runs by a pull request or a merge request. It knows the shapes
// of GitHub Actions and GitLab; of other platforms it reports false.
func (f Federated) OpenToPullRequests(issuer string) bool {
	begin := cmp.Or(f.Subject, f.SubjectPrefix)
	switch {
	case strings.HasPrefix(issuer, "https://token.actions."), strings.HasPrefix(begin, "repo:"), f.names("repository", "job_workflow_", "workflow_"):
		return f.openOnGitHub()
	case issuer == "https://gitlab.com", strings.HasPrefix(begin, "project_path:"), f.names("project_", "namespace_", "job_project_", "job_namespace_"):
		return f.openOnGitLab()
	}
	return false
}

// names reports whether the client names a claim that begins with one of the prefixes.
func (f Federated) names(prefixes ...string) bool {
	return slices.ContainsFunc(f.Claims, func(c RequiredClaim) bool {
		return slices.ContainsFunc(prefixes, func(prefix string) bool { return strings.HasPrefix(c.Name, prefix) })
	})
}

// excludes reports whether a claim of a name is required, and each of its values is good.
func (f Federated) excludes(name string, good func(string) bool) bool {
	return slices.ContainsFunc(f.Claims, func(c RequiredClaim) bool {
		return c.Name == name && !slices.ContainsFunc(c.Values, func(value string) bool { return !good(value) })
	})
}

// openOnGitHub: the subject of a job of a pull request is repo:<owner>/<name>:pull_request unless
// the job names an environment; its ref is refs/pull/<number>/merge.
func (f Federated) openOnGitHub() bool {
	isPush := func(ref string) bool {
		return strings.HasPrefix(ref, "refs/heads/") || strings.HasPrefix(ref, "refs/tags/")
	}
	named := func(string) bool { return true }
	isEvent := func(event string) bool { return !strings.HasPrefix(event, "pull_request") }
	if f.excludes("environment", named) || f.excludes("ref", isPush) || f.excludes("event_name", isEvent) {
		return false
	}
	for _, fixed := range []string{":environment:", ":ref:refs/heads/", ":ref:refs/tags/"} {
		if strings.Contains(cmp.Or(f.Subject, f.SubjectPrefix), fixed) {
			return false
		}
	}
	return f.Subject == "" || strings.HasSuffix(f.Subject, ":pull_request") || strings.Contains(f.Subject, ":ref:refs/pull/")
}

// openOnGitLab: the job of a merge request has the subject of its branch, of whatever name. Only
// that the ref or the environment is protected tells it from a job that was merged.
func (f Federated) openOnGitLab() bool {
	isTrue := func(value string) bool { return value == "true" }
	named := func(string) bool { return true }
	isMerge := func(source string) bool {
		return source == "merge_request_event" || source == "external_pull_request_event"
	}
	if f.excludes("ref_protected", isTrue) || f.excludes("environment_protected", isTrue) {
		return false
	}
	if f.excludes("pipeline_source", func(source string) bool { return !isMerge(source) }) && f.excludes("ref", named) {
		return false
	}
	// a branch that is named in full may be protected
	return f.Subject == ""
}
