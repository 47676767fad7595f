// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth2_test

import (
	"strings"
	"testing"

	"github.com/hallpass-dev/hallpass/internal/oauth2"
)

func TestClientIDsByTheirForm(t *testing.T) {
	for id, c := range map[string]struct {
		valid, exact bool
		namespace    string
	}{
		"orders":                                {true, false, ""},
		"orders-prod_1":                         {true, false, ""},
		"0d2f1c9e-7a4b-4e61-9c3d-5b8f2a6e1740":  {true, false, ""},
		"LfXJilIBdzj5JPRn4xb5QQ..":              {true, false, ""},
		"Shop.foo_bar":                          {true, false, ""},
		".orders":                               {true, false, ""},
		"shop.reporting":                        {true, true, "shop"},
		"com.acme.orders":                       {true, true, "com"},
		"Orders.Api":                            {true, true, "orders"},
		"123-abc.apps.googleusercontent.com":    {true, true, "123-abc"},
		"-shop.reporting":                       {true, false, ""},
		"shop%2Ereporting":                      {true, true, "shop"},
		"shop%2ereporting":                      {true, true, "shop"},
		"%73hop.reporting":                      {true, true, "shop"},
		"%53hop.Reporting":                      {true, true, "shop"},
		"shop%252Ereporting":                    {true, true, "shop"},
		"shop%25252525252Ereporting":            {true, true, "shop"},
		"shop%%32Ereporting":                    {true, true, "shop"},
		"shop%2%35%32%45reporting":              {true, true, "shop"},
		"shop%2Efoo_bar":                        {true, true, ""},
		"100%":                                  {true, true, ""},
		"orders%":                               {true, true, ""},
		"orders%2":                              {true, true, ""},
		"orders%zz":                             {true, true, ""},
		"https%3A%2F%2Forders.example.com":      {true, true, ""},
		"https://orders.example.com":            {true, true, ""},
		"https://orders.example.com:8443/a?b=c": {true, true, ""},
		"urn:example:orders":                    {true, true, ""},
		"HTTPS://orders.example.com":            {false, true, ""},
		"spn:orders":                            {false, true, ""},
		"user:corp:alice":                       {false, true, ""},
		"system:serviceaccount:shop:worker":     {false, true, ""},
		"System:admin":                          {false, true, ""},
		"user%3Aalice":                          {false, true, ""},
		"User%3aalice":                          {false, true, ""},
		"%75ser%3Aalice":                        {false, true, ""},
		"user%253Aalice":                        {false, true, ""},
		"user%%33Aalice":                        {false, true, ""},
		"system%3Aserviceaccount%3Ashop%3Ax":    {false, true, ""},
		"%53ystem%3Aadmin":                      {false, true, ""},
		"users%3Aalice":                         {true, true, ""},
		"user%3":                                {true, true, ""},
		"https:orders":                          {false, true, ""},
		"shop.app:x":                            {false, true, ""},
		"":                                      {false, false, ""},
		"a b":                                   {false, false, ""},
		"https://orders.example.com/\n":         {false, true, ""},
		"ä":                                     {false, false, ""},
		strings.Repeat("a", 320):                {true, false, ""},
		strings.Repeat("a", 321):                {false, false, ""},
		"https://" + strings.Repeat("a", 320-8): {true, true, ""},
		"https://" + strings.Repeat("a", 320-8+1): {false, true, ""},
	} {
		if got := oauth2.ValidClientID(id); got != c.valid {
			t.Errorf("ValidClientID(%q) = %t", id, got)
		}
		if got := oauth2.IsExactClientID(id); got != c.exact {
			t.Errorf("IsExactClientID(%q) = %t", id, got)
		}
		if got := oauth2.NamespaceIn(id); got != c.namespace {
			t.Errorf("NamespaceIn(%q) = %q, want %q", id, got, c.namespace)
		}
	}
}

func TestWhoAllowsAClientID(t *testing.T) {
	anyPlain := oauth2.Ceilings{AnyClientID: true}
	lists := func(lists ...[]string) oauth2.Ceilings { return oauth2.Ceilings{AnyClientID: true, ClientIDs: lists} }
	for name, c := range map[string]struct {
		ceilings oauth2.Ceilings
		id       string
		want     bool
	}{
		"a plain one without a policy":                 {oauth2.Ceilings{}, "orders", false},
		"a plain one where the installation allows":    {anyPlain, "orders", true},
		"a plain one by a pattern":                     {lists([]string{"ord*"}), "orders", true},
		"a plain one outside the pattern":              {lists([]string{"svc-*"}), "orders", false},
		"a dotted one where the installation allows":   {anyPlain, "com.acme.orders", false},
		"a dotted one by a pattern":                    {lists([]string{"*"}), "com.acme.orders", false},
		"a dotted one by a pattern of its beginning":   {lists([]string{"com.acme.*"}), "com.acme.orders", false},
		"a dotted one by its value":                    {lists([]string{"svc-*", "com.acme.orders"}), "com.acme.orders", true},
		"a dotted one in another case":                 {lists([]string{"com.acme.orders"}), "Com.Acme.orders", false},
		"an encoded prefix of users by its value":      {lists([]string{"user%3Aalice"}), "user%3Aalice", false},
		"an encoded one where the installation allows": {anyPlain, "com%2Eacme%2Eorders", false},
		"an encoded one by a pattern":                  {lists([]string{"com%*"}), "com%2Eacme%2Eorders", false},
		"an encoded one by its value":                  {lists([]string{"com%2Eacme%2Eorders"}), "com%2Eacme%2Eorders", true},
		"one that resembles none":                      {anyPlain, "LfXJilIBdzj5JPRn4xb5QQ..", true},
		"a URI by a pattern":                           {lists([]string{"https://orders.example.com/*"}), "https://orders.example.com/", false},
		"a URI by everything":                          {lists([]string{"*"}), "urn:example:orders", false},
		"a URI by its value":                           {lists([]string{"https://orders.example.com"}), "https://orders.example.com", true},
		"a URI with a star is a pattern":               {lists([]string{"https://orders.example.com/*"}), "https://orders.example.com/*", false},
		"a value that a second policy does not allow":  {lists([]string{"com.acme.orders"}, []string{"svc-*"}), "com.acme.orders", false},
		"a value that a second policy's pattern fits":  {lists([]string{"com.acme.orders"}, []string{"*"}), "com.acme.orders", true},
	} {
		t.Run(name, func(t *testing.T) {
			if got := c.ceilings.AllowClientID(c.id); got != c.want {
				t.Errorf("%q allowed: %t", c.id, got)
			}
		})
	}
}
