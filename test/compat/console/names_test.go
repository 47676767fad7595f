// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package console_test

import (
	"github.com/chromedp/chromedp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func meta1(namespace, name string) metav1.ObjectMeta {
	return metav1.ObjectMeta{Namespace: namespace, Name: name}
}

func navigateTo(address string) chromedp.Action[chromedp.Void] { return chromedp.Navigate(address) }

func navigate(c console) chromedp.Action[chromedp.Void] { return navigateTo("file://" + c.link) }

func reload() chromedp.Action[chromedp.Void] { return chromedp.Reload() }
