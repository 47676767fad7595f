// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

// The provider of npm's oidc-provider with one client, hallpass, behind a proxy that has the
// certificate of its issuer: node provider.mjs ISSUER REDIRECT-URI. It prints its address.
import { Provider } from "oidc-provider";

const [issuer, redirect] = process.argv.slice(2);
const provider = new Provider(issuer, {
  clients: [{ client_id: "hallpass", client_secret: "provider-secret", redirect_uris: [redirect], grant_types: ["authorization_code"], response_types: ["code"] }],
  findAccount: (_, id) => ({ accountId: id, claims: () => ({ sub: id }) }),
  pkce: { required: () => true },
});
provider.proxy = true;
const server = provider.listen(0, "127.0.0.1", () => console.log(`127.0.0.1:${server.address().port}`));
