// Logs a person in with oauth4webapi as its documentation shows. It prints the address that the
// person opens, reads the one to which the person is sent back, and prints a token, the next one,
// and that both are revoked when a further line is there. NODE_EXTRA_CA_CERTS names the file with
// the CA of Hallpass.
import { createInterface } from "node:readline";
import * as oauth from "oauth4webapi";

const { ISSUER, CLIENT_ID, CLIENT_SECRET, REDIRECT_URI, RESOURCE } = process.env;
const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const line = async () => (await lines.next()).value;

const issuer = new URL(ISSUER);
const server = await oauth.processDiscoveryResponse(issuer, await oauth.discoveryRequest(issuer, { algorithm: "oauth2" }));
const client = { client_id: CLIENT_ID };
const method = CLIENT_SECRET ? oauth.ClientSecretPost(CLIENT_SECRET) : oauth.None();

const verifier = oauth.generateRandomCodeVerifier();
const state = oauth.generateRandomState();
const address = new URL(server.authorization_endpoint);
for (const [name, value] of Object.entries({
  response_type: "code",
  client_id: CLIENT_ID,
  redirect_uri: REDIRECT_URI,
  scope: "orders.read",
  resource: RESOURCE,
  state,
  code_challenge: await oauth.calculatePKCECodeChallenge(verifier),
  code_challenge_method: "S256",
})) {
  address.searchParams.set(name, value);
}
console.log("open", address.href);
const parameters = oauth.validateAuthResponse(server, client, new URL(await line()), state);
const redeemed = await oauth.authorizationCodeGrantRequest(server, client, method, parameters, REDIRECT_URI, verifier);
const tokens = await oauth.processAuthorizationCodeResponse(server, client, redeemed);
console.log("token", tokens.access_token, tokens.refresh_token);
const refreshed = await oauth.refreshTokenGrantRequest(server, client, method, tokens.refresh_token);
const next = await oauth.processRefreshTokenResponse(server, client, refreshed);
console.log("token", next.access_token, next.refresh_token ?? tokens.refresh_token);
await line();
const revoked = await oauth.revocationRequest(server, client, method, next.refresh_token ?? tokens.refresh_token);
await oauth.processRevocationResponse(revoked);
console.log("revoked");
process.exit();
