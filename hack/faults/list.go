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
	// controllers is where the other controllers are.
	controllers = "internal/controller/"
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
	fewer      = "is registered, and before it was"
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
		{client + "memory.go", "young := m.proposals.Get(of.GetUID(), now.Earliest); young {", "young := m.proposals.Get(of.GetUID(), now.Earliest); young && false {"},
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
	{"a first secret whose registration was refused is not tried again", nil, []edit{
		{client + "do.go", "if err := errors.Join(unwritten, unpublished); err != nil {", "if unwritten == nil {\n\t\tr.memory.proposals.Drop(c.UID)\n\t}\n\tif err := errors.Join(unwritten, unpublished); err != nil {"},
	}, client + "TestAFirstSecretIsRegisteredByTheNextAttempt"},
	{"a read writes the key of generations, and does not report that the write was refused", nil, []edit{
		{client + "generations.go", "text, there := secret.GetAnnotations()[v1alpha1.AnnotationGeneration]\n\tif !there {", "text := secret.GetAnnotations()[v1alpha1.AnnotationGeneration]\n\tif false {"},
		{client + "generations.go", "key, err := g.keys.read(ctx)", "key, err := g.keys.ensure(ctx)"},
		{client + "status.go", "v := status.Verdict{Trouble: output.Failure(failure, c.Status.Conditions, \"read the client\"), Passing: true}\n\tif v.Trouble == nil {", "v := status.Verdict{Trouble: output.Failure(failure, c.Status.Conditions, \"read the client\"), Passing: true}\n\tif true {"},
	}, client + "TestALookMakesNoGenerationKey"},
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
	{"a registration that is made again forgets its generation", []string{fewer}, []edit{
		{client + "methods.go", "r := credential.Reported{Generation: reported.Rotation.Generation}", "var r credential.Reported"},
	}, ""},
	{"a request to rotate is ignored", []string{swallowed}, []edit{
		{pure + "secrets.go", `if p.Request != "" && p.Request != r.Rotation.Handled {`, never},
	}, ""},
	{"a late registration lowers the generation that the status reports", nil, []edit{
		{client + "status.go", "case d.failure != nil:\n\t\t// a late", "case false:\n\t\t// a late"},
	}, client + "TestALateRegistrationLowersNoGeneration"},
	{"a client whose registration was lost is taken for a new one", []string{replaced}, []edit{
		{client + "methods.go", "|| m.written.Retained || registered {", "|| m.written.Retained || false && registered {"},
	}, client + "TestALostRegistrationIsNoNewClient"},
	{"a lost registration rotates again", []string{again}, []edit{
		{client + "methods.go", "Unhandled: reported.ObservedGeneration > 0 && reported.Rotation.HandledRequest != p.Request,", "Unhandled: reported.ObservedGeneration > 0,"},
	}, ""},
	{"a restored client rotates if its first reconcile was interrupted", nil, []edit{
		{client + "status.go", "if c.Status.ObservedGeneration == 0 {", never},
	}, client + "TestARestoredNamespaceRotatesNothingThoughItsFirstLookIsRefused"},
	{"a client whose new name belongs to another Secret forgets where its own Secret is", nil, []edit{
		{client + "status.go", "if s.isWhereReported(c) {", never},
	}, client + "TestASecretIsInheritedAfterANameThatCouldNotBeUsed"},
	{"an older former Secret is inherited before a newer one", nil, []edit{
		{output + "target.go", "slices.Reverse(names)", "_ = names"},
	}, output + "TestASecretThatTheCacheLacksIsInherited"},
	{"a secret that was replaced is inherited before the current one", nil, []edit{
		{client + "methods.go", "inherits && !record.Replaced(value, policy, s.at) {", "inherits {"},
	}, client + "TestAnOlderFormerSecretHidesNoNewerOne"},
	{"a rename replaces a first secret that another manager wrote", nil, []edit{
		{client + "methods.go", "(inherits || record.MayBeFirst(value, s.at))", "inherits"},
	}, client + "TestASecretOfAnotherManagerIsInherited"},
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
		{pure + "next.go", "case answers && r.Rotation.Cause == causeRotated:", "case false:"},
		{pure + "next.go", ", r.wasDue(made.CreatedAt, p):", ":"},
		{client + "changes.go", "case was >= 0 && u.announced != v.ID:", "case was >= 0:"},
	}, ""},
	{"the audit line calls a repair a rotation", nil, []edit{
		{pure + "next.go", "case answers && r.Rotation.Cause == causeRepaired:", "case false:"},
	}, client + "TestARepairIsNoRotation"},
	{"a write of a registration that was not answered has no audit line", nil, []edit{
		{client + "memory.go", "sameSecrets(s.record(), u.after) && ", "false && sameSecrets(s.record(), u.after) && "},
	}, client + "TestAWriteThatIsNotAnsweredHasItsAuditLines"},
	{"a status that something else writes too is written each time", nil, []edit{
		{controllers + "status/contest.go", "damping == nil || damping.Wait == 0 {", "damping == nil || true {"},
	}, client + "TestAStatusThatAnotherWritesEachTimeIsWrittenAFewTimes"},
	{"an attempt by a late cache makes a manager forget the write before", nil, []edit{
		{controllers + "attempt/unanswered.go", "changes = []T{changes[0], changes[last]}", "changes = []T{changes[last]}"},
		{controllers + "attempt/unanswered.go", "last > 1 {", "last > 0 {"},
	}, client + "TestALateCacheLosesNoAuditLine"},
	{"a token that ends by a write that was not answered has no audit line", nil, []edit{
		{controllers + "oauth2token/find.go", "\t\tr.reports.reportDone(object, found)\n", ""},
	}, controllers + "oauth2token/TestATokenThatEndsByAWriteThatIsNotAnsweredIsAnAuditLine"},
	{"a token whose write was not answered has no audit line", nil, []edit{
		{controllers + "oauth2token/report.go", `s.before[at].Cause != "" &&`, `s.before[at].Cause == "never" &&`},
	}, controllers + "oauth2token/TestEachTokenIsAnAuditLine"},
	{"a Fixed token is valid for longer than its expirationTime", nil, []edit{
		{controllers + "oauth2token/mint.go", "grant.Lifetime = s.end.Sub(issuedAt.Truncate(time.Second))", "grant.Lifetime = s.end.Sub(issuedAt)"},
	}, controllers + "oauth2token/TestAFixedTokenExpiresAtItsTime"},
	{"a revoked token stays in its Secret", nil, []edit{
		{controllers + "oauth2token/mint.go", "case s.revoked && !now.Before(s.current.IssuedAt.Add(minAge)):", "case s.revoked && now.IsZero():"},
	}, controllers + "oauth2token/TestATokenThatWasTakenBackIsReplacedOnceItIsNotQuiteNew"},
	{"an older token is inherited before a newer one", nil, []edit{
		{controllers + "oauth2token/secret.go", "found && t.IssuedAt.After(newest.IssuedAt) {", "found && newest.ID != t.ID {"},
	}, controllers + "oauth2token/TestTheNewestTokenIsInherited"},
	{"a late record takes the newest token for none", nil, []edit{
		{controllers + "oauth2token/secret.go", "len(former) > 0 && s.stored != nil {", "len(former) < 0 {"},
	}, controllers + "oauth2token/TestALateRecordLosesNoNewerToken"},
	{"a token is announced again once its status has lost it", nil, []edit{
		{controllers + "oauth2token/report.go", "!slices.ContainsFunc(s.before[at:], isKnown)", "!slices.ContainsFunc(s.before[at:at], isKnown) && s.before[at].ID != object.Status.TokenID"},
	}, controllers + "oauth2token/TestATokenIsAnnouncedOnce"},
	{"a Fixed token that is refused leaves its object `Ready`", nil, []edit{
		{controllers + "oauth2token/report.go", "Obstacle: cmp.Or(s.condition, s.refused)", "Obstacle: s.condition"},
	}, controllers + "oauth2token/TestRandomHistoriesOfATokenEndWell"},
	{"a Fixed token is issued within a revocation", nil, []edit{
		{controllers + "oauth2token/mint.go", "oauth2.IssueOpaque(grant, issuedAt, m.Random)", "oauth2.IssueOpaque(grant, now, m.Random)"},
	}, controllers + "oauth2token/TestAFixedTokenIsIssuedAfterWhatWasRevoked"},
	{"a token that another manager has ended is proposed again", nil, []edit{
		{controllers + "oauth2token/mint.go", "if made.recorded && !s.onRecord(made.minted.ID) ||", "if"},
	}, controllers + "oauth2token/TestAProposalThatHasEndedIsNotMadeAgain"},
	{"a status whose write was not answered has no audit line of a token's end", nil, []edit{
		{controllers + "oauth2token/report.go", "if ends && (written || output.MayBeDone(err)) {", "if ends && written {"},
	}, controllers + "oauth2token/TestAnExpiredTokenStaysExpired"},
	{"an expired token is reported as something else", nil, []edit{
		{controllers + "oauth2token/report.go", "over != nil && (s.condition == nil || s.knowsEnd(found)) {", "over != nil && s.condition == nil {"},
	}, controllers + "oauth2token/TestAnExpiredTokenStaysExpired"},
	{"a resource takes the identifier of another one whose record was lost", nil, []edit{
		{controllers + "oauth2resource/record.go", "other.DeletionTimestamp.IsZero() && wasDeclared(other) {", "other.DeletionTimestamp.IsZero() && false {"},
	}, controllers + "oauth2resource/TestALostRecordIsNotTakenByAResourceThatWaits"},
	{"the record of a resource that is too large grants more than before", nil, []edit{
		{controllers + "oauth2resource/controller.go", "resource.Consents, resource.Users = oauth2.KeepConsents(resource.Consents, before.Consents), oauth2.KeepConsents(resource.Users, before.Users)", "_ = before"},
	}, controllers + "oauth2resource/TestTheSizeOfARecordIsLimited"},
	{"signing keys whose Secret is deleted are made again", nil, []edit{
		{controllers + "signingkeys/controller.go", "for _, other := range []keyring.Ring{spare, r.held} {", "for _, other := range []keyring.Ring{} {"},
	}, controllers + "signingkeys/TestADeletedSecretComesBackWithTheSameKeys"},
	{"signing keys of a newer version are overwritten", nil, []edit{
		{controllers + "signingkeys/controller.go", "if err := registration.CheckWrite(s.secret.Data); err != nil {", "if err := registration.CheckWrite(s.secret.Data); err != nil && false {"},
	}, controllers + "signingkeys/TestKeysOfANewerVersionStayAsTheyAre"},
	{"a certificate that is not yet valid is served", nil, []edit{
		{controllers + "servingcert/pair.go", "case now.Agreed && (now.Earliest", "case false && (now.Earliest"},
	}, controllers + "servingcert/TestACertificateThatIsNotYetValidIsNotKept"},
	{"one read by a wrong clock ends the trust in an authority", nil, []edit{
		{controllers + "servingcert/authorities.go", "!now.Past().Before(a.former.certificate.NotAfter)", "!now.Earliest.Before(a.former.certificate.NotAfter)"},
	}, controllers + "servingcert/TestAnEndedAuthorityStaysUntilTheClocksAgree"},
	{"revocations end by the clock of the manager alone", nil, []edit{
		{controllers + "tokenrevocation/controller.go", "todo := decide(all.Items, r.Lifetime, now.Past())", "todo := decide(all.Items, r.Lifetime, now.Latest)"},
	}, controllers + "tokenrevocation/TestARevocationIsDeletedWhenTheClocksAgreeThatItsTokensHaveExpired"},
	{"a merged batch has the name of one that it is made of", nil, []edit{
		{controllers + "tokenrevocation/plan.go", "for i := range m.from {\n\t\t_, _ = fmt.Fprintf(sum, \"%s %s\\n\", m.from[i].Name, m.from[i].UID)\n\t}\n", ""},
	}, controllers + "tokenrevocation/TestTheNameOfAMergedBatchSaysWhatItIsMadeOf"},
	{"the keys of an issuer that is away are forgotten", nil, []edit{
		{controllers + "trustedissuer/fetches.go", "f.failed = nil\n", "if f.failed = nil; err != nil {\n\t\tf.keys = \"\"\n\t}\n"},
	}, controllers + "trustedissuer/TestAnIssuerThatIsAwayIsAskedLessAndLess"},
	{"keys of an issuer are used for longer than their age", nil, []edit{
		{controllers + "trustedissuer/status.go", "!s.now.Before(s.issuer.Keys.Until)", "false"},
	}, controllers + "trustedissuer/TestKeysAreUsedForTheirAge"},
	{"beyond a limit the newest objects stay", nil, []edit{
		{controllers + "policy/places.go", "cmp.Or(created.Compare(than.Time), ", "cmp.Or(-created.Compare(than.Time), "},
	}, controllers + "policy/TestOlderObjectsComeFirst"},
	{"a usage report that was deleted is forgotten by a restart", nil, []edit{
		{controllers + "usagereport/record.go", "r.Ledger.restore(known.Replicas)", "r.Ledger.restore(nil)"},
	}, controllers + "usagereport/TestADeletedReportCountsAsUseAfterARestart"},
	{"one read by a wrong clock deletes usage reports", nil, []edit{
		{controllers + "usagereport/controller.go", "if !now.Agreed {", "if false {"},
	}, controllers + "usagereport/TestOneLookWithAClockThatIsAheadForgetsNoUse"},
	{"the record of a terminating client stays as it is", nil, []edit{
		{controllers + "registry/controller.go", "\tcase terminating:\n", "\tcase terminating && false:\n"},
	}, controllers + "registry/TestTheRecordOfATerminatingOwnerIsEmptied"},
	{"the end of a client by a write that was not answered has no audit line", nil, []edit{
		{controllers + "registry/ends.go", "case failure == nil, begun.seen:", "case failure == nil:"},
		{controllers + "registry/ends.go", "begun.unanswered = true", "delete(e.of, name)"},
	}, controllers + "registry/TestAnEndThatWasNotAnsweredHasItsLine"},
	{"the record of an issuer that a newer version wrote is deleted", nil, []edit{
		{controllers + "publish/publish.go", "if err := registration.CheckWrite(stored.Data); err != nil {", "if err := registration.CheckWrite(nil); err != nil {"},
	}, controllers + "trustedissuer/TestARecordOfANewerVersionIsNotDeleted"},
	{"replicas on a record of a newer version are forgotten", nil, []edit{
		{controllers + "usagereport/record.go", "r.Ledger.awaitRecord()", "r.Ledger.restore(nil)"},
	}, controllers + "usagereport/TestTheRecordOfReplicas"},
	{"sealing keys of a newer version are refused by all readers", nil, []edit{
		{"internal/seal/ring.go", "if w.Version < version ||", "if w.Version != version ||"},
	}, "internal/registration/TestARecordOfANewerVersionIsReadAsFarAsItAllows"},
	{"clients that share an account have no event", nil, []edit{
		{controllers + "status/events.go", "\t{v1alpha1.ConditionClientIDNeeded, metav1.ConditionTrue},\n", ""},
	}, controllers + "status/TestAPartWithoutEffectHasOneEvent"},
	{"the events of one namespace displace those of others", nil, []edit{
		{controllers + "eventqueue/eventqueue.go", "dropped = r.queue.Excess()", "dropped = event"},
	}, controllers + "eventqueue/TestTheEventsOfOneNamespaceDisplaceThoseOfNoOther"},
	{"the counts of events of one namespace displace those of others", nil, []edit{
		{controllers + "eventqueue/series.go", "excess := s.due.Excess()", "excess := slot"},
	}, controllers + "eventqueue/TestTheCountsOfOneNamespaceDisplaceThoseOfNoOther"},
	{"a start stores the Secrets of clients that do not exist", nil, []edit{
		{controllers + "packed/informer.go", "\ti.Await(like)\n", ""},
	}, "cmd/manager/app/TestAStartKeepsNothingOfASecretWithoutAClient"},
	{"values of one namespace displace those of others", nil, []edit{
		{controllers + "attempt/proposals.go", "Owner: kept.namespace", "Owner: \"\""},
	}, controllers + "attempt/TestProposalsAreBoundedByNamespace"},
	{"sealing keys that cannot be read are made anew", nil, []edit{
		{controllers + "sealingkeys/controller.go", "errors.Is(err, seal.ErrUnreadable) {", "err != nil && errors.Is(err, io.EOF) {"},
	}, controllers + "sealingkeys/TestWhatCannotBeReadIsLeftAlone"},
	{"sealing keys whose Secret is deleted are made again", nil, []edit{
		{controllers + "sealingkeys/controller.go", "seal.Merge(r.held, read, now.Past())", "seal.Merge(read, read, now.Past())"},
	}, controllers + "sealingkeys/TestASecretThatIsDeletedIsWrittenAgain"},
	{"grants from before a restore are accepted", nil, []edit{
		{controllers + "sealingkeys/controller.go", ".WithRestored(r.noticed())", ""},
	}, controllers + "sealingkeys/TestABackupBringsNoRetiredKeyBackAndEndsTheGrantsOfBefore"},
	{"one read by a wrong clock deletes a sealing key", nil, []edit{
		{controllers + "sealingkeys/controller.go", "Rotate(now.Earliest, now.Past(), r.Random)", "Rotate(now.Earliest, now.Latest, r.Random)"},
	}, controllers + "sealingkeys/TestAClockThatIsWrongDeletesNoKey"},
	{"one read by a wrong clock ends a signing key", nil, []edit{
		{controllers + "signingkeys/controller.go", "keyring.Rotate(ring, keyring.Time(now), ", "keyring.Rotate(ring, keyring.Time(apiclock.At(now.Latest)), "},
	}, controllers + "signingkeys/TestALookByAWrongClockEndsNoKey"},
	{"a token that has expired and is not replaced leaves its object `Ready`", nil, []edit{
		{controllers + "oauth2token/report.go", "case found && !held.Live(now) && object.Spec.Mode", "case false && object.Spec.Mode"},
	}, controllers + "oauth2token/TestReadyIsWhatWasReadOfTheSecret"},
	{"a usage report from the future delays the end of a secret", nil, []edit{
		{"internal/usage/usage.go", "if theirs = min(theirs, now); theirs <= *mine {", "if theirs <= *mine {"},
	}, controllers + "usagereport/TestAReportFromTheFutureIsCut"},
	{"a replica that is silent counts as one that uses nothing", nil, []edit{
		{"internal/usage/evidence.go", "case r.Stopped:", "case r.Stopped, q.Now.Sub(r.vouched()) > MaxSilence:"},
	}, "internal/usage/TestJudge"},
	{"a watch of the manager continues after a restore", nil, []edit{
		{controllers + "restored/guard.go", "if err != nil || proof != restore.None {", "if err != nil || proof == \"never\" {"},
	}, controllers + "restored/TestAWatchDoesNotGoOnAtARevisionThatIsNotThere"},
	{"an object that is deleted during its look-up proves a restore", nil, []edit{
		{"internal/directory/memory/tombstones.go", "if gone, known := t.values[object]; known && gone.at <= when {", "if _, known := t.values[object]; known {"},
	}, "internal/directory/memory/TestWhatALookUpProves"},
	{"a look-up believes an API server that was restored", nil, []edit{
		{"internal/directory/lookup.go", "if err := d.watches.Trusted(); err != nil {\n\t\treturn nil, err\n\t}\n\trecord, _, err := d.api.record(ctx, registration.ResourceSecretName", "record, _, err := d.api.record(ctx, registration.ResourceSecretName"},
	}, "internal/directory/TestACallerIsToldThatTheStoreIsBehind"},
	{"a refused write does not show in the conditions", nil, []edit{
		{output + "failure.go", "case errors.Is(failure, ErrAltered), refused(failure):", "case false && refused(failure):"},
	}, client + "TestARefusalShowsAtTheFirstAttempt"},
	{"an API server that does not answer changes conditions", nil, []edit{
		{output + "failure.go", "\tcase unanswered(failure):\n", "\tcase unanswered(failure) && false:\n"},
	}, output + "TestAFailureIsReportedWhileTheObjectWasNeverReady"},
	{"a rotation that fails is not reported", nil, []edit{
		{client + "status.go", "case plan.Reason == credential.Rotated && d.failure != nil:", "case plan.Reason == credential.Rotated && d.failure != nil && false:"},
	}, client + "TestARotationThatFailsSaysSoOnce"},
	{"a rotation that waits is not reported", nil, []edit{
		{client + "status.go", "\tcase plan.Blocked:\n", "\tcase plan.Blocked && false:\n"},
	}, client + "TestARotationThatWaitsSaysWhy"},
	{"`Ready` does not report that a client is granted nothing", nil, []edit{
		{client + "status.go", "case d.grantedNothing():", "case d.grantedNothing() && false:"},
	}, client + "TestAClientThatIsGrantedNothingSaysSo"},
	{"an object stays `Reconciling` for ever", nil, []edit{
		{controllers + "status/status.go", "if v.Passing && (until.IsZero() || until.After(look.Now)) {", "if v.Passing {"},
	}, controllers + "status/TestWhatPassesIsStalledFiveMinutesIntoAGeneration"},
	{"a client that waits for a client_id is not woken", nil, []edit{
		{controllers + "publish/waiters.go", "\t\twaiting = append(waiting, waiter)\n", "\t\t_ = waiting\n"},
	}, controllers + "publish/TestWaitersAreReturnedOnceTheirHolderIsDeleted"},
	{"an object that is asked for by name wakes none that wait for it", nil, []edit{
		{controllers + "poll/poll.go", "if p.changed(request, w, answer, err) && p.pause(ctx, lookSlots) {", "if p.changed(request, w, answer, err) && false {"},
	}, controllers + "poll/TestAChangeOfWhatIsWaitedForWakes"},
	{"a repair that does not hold is repeated at once", nil, []edit{
		{client + "controller.go", "if len(c.Status.Conditions) > 0 { // what was reported is there, and a write is a repair", never},
	}, client + "TestARepairThatDoesNotHoldIsDampedAndReported"},
	{"the status of a client counts although it is registered", nil, []edit{
		{client + "methods.go", "Reported: reportedOf(reported, s.held),", "Reported: reportedOf(reported, false),"},
		{pure + "next.go", "if !s.Declared && len(r.Verifiers) == 0 {", "if !s.Declared {"},
	}, client + "TestAStatusDoesNotCountWhileThereIsARegistration"},
	{"a ring without a key that signs stays without one", nil, []edit{
		{"internal/keyring/rotate.go", "\td.mend()\n\tbare := !d.signs()\n", "\tbare := false\n"},
	}, "internal/keyring/TestARingWithoutAKeyThatSignsMends"},
	{"a replica that starts is ready without a key that signs", nil, []edit{
		{"internal/directory/directory.go", "return d.start.check(d.Ring(), d.Bridging(), d.now())", "return nil"},
	}, "internal/directory/TestAReplicaThatStartsIsReadyWithAKeyThatSignsAndARightClock"},
	{"a clock that is set drops the tombstones of deleted objects", nil, []edit{
		{"internal/directory/memory/tombstones.go", "if gone.aged {", "if true {"},
	}, "internal/directory/memory/TestAClockThatIsSetDropsNoTombstone"},
	{"a record that only a newer version can read is taken for absent", nil, []edit{
		{"internal/directory/api.go", "\tif record, err = recordOf(&secret); err != nil {\n", "\tif record, err = recordOf(&secret); err != nil {\n\t\treturn memory.Record{}, 0, nil\n\t}\n\tif err != nil {\n"},
	}, "internal/directory/TestARecordThatCannotBeReadIsNotTakenForAbsent"},
	{"the age of a client is measured by the clock of the replica", nil, []edit{
		{"internal/directory/lookup.go", "apiclock.WithDate(ctx, &r.ownerRead)", "apiclock.WithDate(ctx, new(time.Time))"},
	}, "internal/directory/TestAClientIsNewForTenSecondsByTheClockThatDatedIt"},
	{"an assertion is forgotten while it is still accepted", nil, []edit{
		{"internal/oauth2/assertion.go", "ExpiresAt: end.Add(assertionSkew)}, nil", "ExpiresAt: end}, nil"},
	}, "internal/tokenserver/TestAnAssertionIsRememberedAsLongAsItIsAccepted"},
	{"a client assertion is accepted more than ten minutes ahead", nil, []edit{
		{"internal/oauth2/assertion.go", "return min(bound, MaxAssertionLife)", "return bound"},
	}, "internal/tokenserver/TestHowLongAnAssertionMayLive"},
	{"a key set with a key that is not for us is refused", nil, []edit{
		{"internal/jws/jwks.go", "case errors.Is(err, errUnsupported), errors.Is(err, ErrCostlyKey):", "case errors.Is(err, ErrCostlyKey):"},
	}, "internal/jws/TestAKeyThatIsNotForUsIsPassedOverWithAReason"},
	{"a key set with a private key is accepted", nil, []edit{
		{"internal/jws/jwks.go", "if _, there := members[name]; there {", "if _, there := members[name]; there && false {"},
	}, "internal/jws/TestAKeySetIsRefusedWholeForOneKeyThatMustNotBeThere"},
	{"a token request while no key signs is not answered with 503", nil, []edit{
		{"internal/oauth2/signing.go", "Code: TemporarilyUnavailable, Reason: ReasonNoSigningKey", "Code: ServerError, Reason: ReasonNoSigningKey"},
	}, "internal/tokenserver/TestWithoutAKeyThatSignsTokenRequestsAloneAreRefused"},
}
