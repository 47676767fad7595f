// Logs a person in with openid-client as its documentation shows. It prints the address that the
// person opens, reads the one to which the person is sent back, and prints a token, the next one,
// and that both are revoked when a further line is there. NODE_EXTRA_CA_CERTS names the file with
// the CA of Hallpass.
import { createInterface } from "node:readline";
import * as client from "openid-client";

const { ISSUER, CLIENT_ID, CLIENT_SECRET, REDIRECT_URI, RESOURCE } = process.env;
const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const line = async () => (await lines.next()).value;

const method = CLIENT_SECRET ? client.ClientSecretBasic(CLIENT_SECRET) : client.None();
const config = await client.discovery(new URL(ISSUER), CLIENT_ID, undefined, method, { algorithm: "oauth2" });

const pkceCodeVerifier = client.randomPKCECodeVerifier();
const expectedState = client.randomState();
const address = client.buildAuthorizationUrl(config, {
  redirect_uri: REDIRECT_URI,
  scope: "orders.read",
  resource: RESOURCE,
  state: expectedState,
  code_challenge: await client.calculatePKCECodeChallenge(pkceCodeVerifier),
  code_challenge_method: "S256",
});
console.log("open", address.href);
const tokens = await client.authorizationCodeGrant(config, new URL(await line()), { pkceCodeVerifier, expectedState });
console.log("token", tokens.access_token, tokens.refresh_token);
const next = await client.refreshTokenGrant(config, tokens.refresh_token);
console.log("token", next.access_token, next.refresh_token ?? tokens.refresh_token);
await line();
await client.tokenRevocation(config, next.refresh_token ?? tokens.refresh_token, { token_type_hint: "refresh_token" });
console.log("revoked");
process.exit();
