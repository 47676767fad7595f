// Gets a token with openid-client as its documentation shows: openid.mjs
// secret|key|federated|grant|exchange. NODE_EXTRA_CA_CERTS names the file with the CA of Hallpass.
// It prints the access token.
import { createPrivateKey, subtle } from "node:crypto";
import { readFileSync } from "node:fs";
import * as client from "openid-client";

const { ISSUER, CLIENT_ID, CLIENT_SECRET, KEY_FILE, ASSERTION_FILE, SUBJECT_TOKEN, TARGET } = process.env;
const assertion = () => readFileSync(ASSERTION_FILE, "utf8");

async function key() {
  const pkcs8 = createPrivateKey(readFileSync(KEY_FILE)).export({ type: "pkcs8", format: "der" });
  return subtle.importKey("pkcs8", pkcs8, { name: "ECDSA", namedCurve: "P-256" }, false, ["sign"]);
}

// A JWT that a platform has signed is the client assertion.
const federated = (_server, metadata, body) => {
  body.set("client_id", metadata.client_id);
  body.set("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer");
  body.set("client_assertion", assertion());
};

const asItself = (config) => client.clientCredentialsGrant(config);
const [authenticate, request] = {
  secret: [() => client.ClientSecretBasic(CLIENT_SECRET), asItself],
  key: [async () => client.PrivateKeyJwt(await key()), asItself],
  federated: [() => federated, asItself],
  grant: [
    () => client.None(),
    (config) => client.genericGrantRequest(config, "urn:ietf:params:oauth:grant-type:jwt-bearer", { assertion: assertion() }),
  ],
  exchange: [
    () => client.ClientSecretPost(CLIENT_SECRET),
    (config) =>
      client.genericGrantRequest(config, "urn:ietf:params:oauth:grant-type:token-exchange", {
        subject_token: SUBJECT_TOKEN,
        subject_token_type: "urn:ietf:params:oauth:token-type:access_token",
        resource: TARGET,
      }),
  ],
}[process.argv[2]];

const config = await client.discovery(new URL(ISSUER), CLIENT_ID, undefined, await authenticate());
console.log((await request(config)).access_token);
