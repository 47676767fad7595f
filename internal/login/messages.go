// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package login

import "net/http"

// notice is a page with the reason why a login fails, and with what to do.
type notice struct {
	status int
	reason string
	title  string
	text   []string
}

// startAgain ends most notices.
const startAgain = "Start again in the application that you came from."

// The notices.
//
//nolint:gochecknoglobals // constants
var (
	nothingHere = notice{http.StatusNotFound, "NoSuchPage", "There is nothing to see here", []string{
		"This site signs people in for applications.", "Begin in the application: it sends you here.",
	}}
	requestRefused = notice{http.StatusBadRequest, "Refused", "The application's request cannot be served", []string{
		"You are not sent back, because it is not certain where the request comes from.",
	}}
	unavailable = notice{http.StatusServiceUnavailable, "Unavailable", "Sign-in is not available now", []string{
		"Try again in a minute: reload this page, or start again in the application.",
		"If it stays like this, inform the team that runs Hallpass.",
	}}
	tooMany = notice{http.StatusTooManyRequests, "TooManyRequests", "Too many requests", []string{
		"Many requests have come from your network. Wait a moment, and reload this page.",
	}}
	crossSite = notice{http.StatusForbidden, "CrossSite", "This did not come from the page that asked you", []string{
		"Another site may have tried to answer for you, or the page was opened again in another tab. Nothing was allowed.", startAgain,
	}}
	badForm = notice{http.StatusBadRequest, "BadForm", "The answer could not be read", []string{"Nothing was allowed.", startAgain}}
	// noAttempt is what the back button, yesterday's link and a browser without cookies lead
	// to.
	noAttempt = notice{http.StatusBadRequest, "NoAttempt", "This sign-in has ended", []string{
		"It was finished already, it took longer than ten minutes, or it was begun in another browser.",
		"If the application shows you as signed in, there is nothing to do. Otherwise start again there.",
		"If this page comes each time, allow cookies for this site.",
	}}
	otherTab = notice{http.StatusBadRequest, "OtherTab", "This sign-in continued in another tab", []string{
		"Finish it there, or start again in the application.",
	}}
	mixedUp = notice{http.StatusBadRequest, "MixedUp", "The answer came from another identity provider", []string{
		"You were sent to one identity provider, and another one has answered. You were not signed in.", startAgain,
	}}
	badAnswer = notice{http.StatusBadGateway, "BadAnswer", "Your identity provider's answer cannot be used", []string{
		"You were not signed in. An old link or a page from the browser's history can cause this.", startAgain,
	}}
	providerAway = notice{http.StatusBadGateway, "ProviderUnreachable", "Your identity provider does not answer", []string{
		"You were not signed in. Try again in a minute.", startAgain,
	}}
	providerMisconfigured = notice{http.StatusBadGateway, "ProviderMisconfigured", "Sign-in at your identity provider is not set up correctly", []string{
		"You were not signed in, and trying again will not help.", "Inform the team that runs Hallpass, with the words below.",
	}}
)

// message is the page of a notice.
func message(n notice) reply {
	r := reply{status: n.status, content: &content{Title: n.title, Text: n.text}}
	return r.because(n.reason)
}
