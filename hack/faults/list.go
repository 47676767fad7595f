// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package main

// fault is a fault that the code once had, or could have.
type fault struct {
	name string
	// found are parts of the messages of the invariants that find it.
	found []string
	edits []edit
	// test is the directory and the name of a test that finds it, where the histories rarely
	// do.
	test string
}

// edit puts a part of a fault into the code.
type edit struct{ file, old, with string }

const (
	pure   = "internal/credential/"
	client = "internal/controller/oauth2client/"
	output = "internal/controller/output/"
)

// never takes the place of a condition.
const never = "if false {"

// Parts of the messages of the invariants.
const (
	statusLies = "the status says"
	refused    = "is refused: "
	replaced   = "a value was replaced that"
	comesBack  = "is in Secret"
	tooShort   = "a value that was rotated out is refused"
	tooLong    = "a value that was replaced is accepted after"
	again      = "was handled before"
	swallowed  = "a request to rotate was"
	former     = "a Secret under a former name is there"
	foreign    = "is not the client's, and was changed or deleted"
	othersLost = "what others wrote on Secret"
	unaudited  = "no audit line says"
	newer      = "the registration of a newer version"
	falseLine  = "the audit lines say"
)

var faults = []fault{ //nolint:gochecknoglobals // a constant
	{"`Ready` stays `True` without a secret that is accepted", []string{statusLies}, []edit{
		{client + "status.go", "if v.Obstacle == nil && !s.authenticates(c, m) {", never},
	}, ""},
	{"a status is about another generation", []string{statusLies}, []edit{
		{client + "status.go", "ObservedGeneration: c.Generation,", "ObservedGeneration: max(c.Status.ObservedGeneration, 1),"},
	}, ""},
	{"a request to rotate is reported as handled and was not carried out", []string{swallowed}, []edit{
		{pure + "secrets.go", `if p.Request != "" && p.Request != r.Rotation.Handled {`, never},
		{client + "status.go", "HandledRequest: plan.Record.Rotation.Handled,", "HandledRequest: request,"},
	}, ""},
	{"the Secret is written before its registration", []string{refused}, []edit{
		{client + "do.go", "if s, err = r.publish(ctx, c, s, d); err != nil {\n\t\treturn s, d, err\n\t}\n\t// the secret is pending already, and another manager may have made another one current\n\tif s.stored == read {", "if s.stored != read {"},
	}, ""},
	{"each attempt proposes another value", []string{refused}, []edit{
		{client + "memory.go", "young := m.proposals.Get(uid, now.Earliest); young {", "young := m.proposals.Get(uid, now.Earliest); young && false {"},
	}, ""},
	{"a first Secret is created without reading what there is", []string{refused, replaced}, []edit{
		{client + "methods.go", "case s.unknown:\n\t\treturn plan, create", "case s.object == nil:\n\t\treturn plan, create"},
	}, ""},
	{"a value is made from the content of a late cache", []string{replaced}, []edit{
		{client + "methods.go", "return plan, create\n\t}\n\treturn plan, lookLive", "return plan, create\n\t}\n\treturn plan, apply"},
	}, ""},
	{"after the loss of a registration, the value in the Secret is not adopted", []string{replaced}, []edit{
		{pure + "next.go", "if s.Live {", "if s.Live && len(r.Verifiers) > 0 {"},
	}, ""},
	{"a restored registry refuses the value that the Secret proves", []string{replaced}, []edit{
		{pure + "generation.go", "return proven.Number > r.Rotation.Generation && !slices", "return false && !slices"},
	}, ""},
	{"the names of former Secrets are not stored", []string{replaced, refused}, []edit{
		{client + "methods.go", "return m.remembered(s, s.uncached && (m.written.Name != m.client.Name || !s.unknown))", "return s.names"},
	}, ""},
	{"a former Secret is deleted before the present one is read from the API server", nil, []edit{
		{output + "target.go", "if current != nil {", never},
	}, output + "TestALateCacheHasNoFormerObjectDeleted"},
	{"a Secret without its annotation is not found by its owner reference", []string{former}, []edit{
		{output + "output.go", "for _, owner := range o.GetOwnerReferences() {\n\t\tif of.sameKind(owner) {", "for _, owner := range o.GetOwnerReferences() {\n\t\tif false {"},
	}, ""},
	{"the names of former Secrets are not stored again after the registration was lost or restored", nil, []edit{
		{client + "methods.go", "return m.remembered(s, s.uncached && (m.written.Name != m.client.Name || !s.unknown))", "return m.base.remember(s)"},
		{client + "methods.go", `reported != "" && !slices.Contains(`, `false && !slices.Contains(`},
	}, client + "TestASecretThatIsRenamedTwiceIsInherited"},
	{"a late cache makes a replaced secret current again", []string{replaced, refused, comesBack, tooShort}, []edit{
		{client + "methods.go", "plan.Reason == credential.None && !s.record().Replaced(s.value, p, s.at) && !m", "plan.Reason == credential.None && !m"},
	}, ""},
	{"after a rename back, the Secret is taken from a late cache", nil, []edit{
		{client + "methods.go", `return reported != "" && reported != m.written.Name`, "return false && reported != m.written.Name"},
	}, client + "TestASecretThatIsRenamedTwiceIsInherited"},
	{"a former Secret with the new name gets another value", []string{replaced, comesBack, "secrets are current"}, []edit{
		{client + "methods.go", "|| f.object != nil && record.Inherits(", "|| f.object != nil || record.Inherits("},
	}, ""},
	{"a first secret whose registration was refused is not tried again", []string{refused}, []edit{
		{client + "do.go", "if err := errors.Join(unwritten, unpublished); err != nil {", "if unwritten == nil {\n\t\tr.memory.proposals.Drop(c.UID)\n\t}\n\tif err := errors.Join(unwritten, unpublished); err != nil {"},
	}, ""},
	{"a read writes the key of generations, and does not report that the write was refused", []string{statusLies}, []edit{
		{client + "generations.go", "text, there := secret.GetAnnotations()[v1alpha1.AnnotationGeneration]\n\tif !there {", "text := secret.GetAnnotations()[v1alpha1.AnnotationGeneration]\n\tif false {"},
		{client + "generations.go", "key, err := g.keys.read(ctx)", "key, err := g.keys.ensure(ctx)"},
		{client + "status.go", "v := status.Verdict{Trouble: output.Failure(failure, c.Status.Conditions, \"read the client\"), Passing: true}\n\tif v.Trouble == nil {", "v := status.Verdict{Trouble: output.Failure(failure, c.Status.Conditions, \"read the client\"), Passing: true}\n\tif true {"},
	}, ""},
	{"a replaced secret ends before its overlap is over", []string{tooShort}, []edit{
		{pure + "secrets.go", "end := now.Latest.Add(p.Overlap)", "end := now.Latest.Add(p.Overlap / 2)"},
	}, ""},
	{"of too many secrets, the last current one is dropped before older ones", nil, []edit{
		{pure + "secrets.go", "cmp.Or(cmp.Compare(former(a), former(b)), a", "cmp.Or(cmp.Compare(former(b), former(a)), a"},
	}, pure + "TestSettle"},
	{"a replaced secret stays current", []string{"secrets are current"}, []edit{
		{pure + "secrets.go", "v.ExpiresAt = end\n\t\t\treplaced", "_ = end\n\t\t\treplaced"},
	}, ""},
	{"the current secret of a restored registry gets a full overlap", []string{tooLong}, []edit{
		{pure + "generation.go", "last.Before(replaced) {", "last.Before(replaced) && false {"},
	}, ""},
	{"a replacement does not increase the generation", []string{"are counted"}, []edit{
		{pure + "generation.go", "g.Number++", "_ = g.Number"},
	}, ""},
	{"a request to rotate is ignored", []string{swallowed}, []edit{
		{pure + "secrets.go", `if p.Request != "" && p.Request != r.Rotation.Handled {`, never},
	}, ""},
	{"a lost registration rotates again", []string{again}, []edit{
		{client + "methods.go", "Unhandled: reported.ObservedGeneration > 0 && reported.Rotation.HandledRequest != p.Request,", "Unhandled: reported.ObservedGeneration > 0,"},
	}, ""},
	{"a restored client rotates if its first reconcile was interrupted", nil, []edit{
		{client + "status.go", "if c.Status.ObservedGeneration == 0 {", never},
	}, client + "TestARestoredNamespaceRotatesNothingThoughItsFirstLookIsRefused"},
	{"a client whose new name belongs to another Secret forgets where its own Secret is", nil, []edit{
		{client + "status.go", "if s.isWhereReported(c) {", never},
	}, client + "TestASecretIsInheritedAfterANameThatCouldNotBeUsed"},
	{"an older former Secret is inherited before a newer one", []string{replaced, comesBack}, []edit{
		{output + "target.go", "slices.Reverse(names)", "_ = names"},
	}, ""},
	{"the registration of a newer version is taken for a damaged one", []string{newer}, []edit{
		{client + "see.go", "errors.Is(why, wire.ErrNewer), owner ==", "why == nil, owner =="},
		{"internal/controller/publish/publish.go", "default:\n\t\t\treturn stored, fmt.Errorf(\"publish %s: %w\", record.Of, err)", "default:"},
	}, ""},
	{"a value under a former name makes a client `Ready`", []string{statusLies}, []edit{
		{client + "status.go", "s.object != nil && !s.elsewhere && accepted", "s.object != nil && accepted"},
	}, ""},
	{"a label that was removed from `spec.secret` stays", []string{"the Secret has other labels"}, []edit{
		{output + "meta.go", "delete(rest.Labels, name)", "_ = name"},
	}, ""},
	{"annotations, labels or owner references of others are dropped", []string{othersLost}, []edit{
		{output + "target.go", "KeepOthers(wanted, t.Owner.ofOthers(whole, wanted))", "wanted.SetResourceVersion(whole.GetResourceVersion())"},
	}, ""},
	{"a Secret of another client is adopted", []string{foreign}, []edit{
		{output + "target.go", `return there && string(id) != t.ClientID`, "return there && string(id) != t.ClientID && false"},
	}, ""},
	{"a copy of the Secret is deleted", []string{foreign}, []edit{
		{output + "target.go", "case Reduced(o) || t.written(o):", "case true:"},
		{output + "target.go", "case found != nil && t.written(found):", "case found != nil:"},
	}, ""},
	{"a secret ends without an audit line", []string{unaudited}, []edit{
		{client + "changes.go", "j.note(c, changeExpired, v.ID)", "_ = changeExpired"},
	}, ""},
	{"the audit line calls an automatic rotation a repair", []string{falseLine}, []edit{
		{client + "changes.go", ", before.WasDue(made.CreatedAt, policy):", ":"},
		{client + "changes.go", "case was >= 0 && d.announced != v.ID:", "case was >= 0:"},
	}, ""},
}
