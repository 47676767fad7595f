// Verifies access tokens with jose, which fetches the keys and notices new ones: reads a token a
// line and prints who may pass. NODE_EXTRA_CA_CERTS names the file with the CA of Hallpass.
import { createInterface } from "node:readline";
import { createRemoteJWKSet, jwtVerify } from "jose";

const issuer = process.env.ISSUER;
const audience = process.env.AUDIENCE;
const keys = createRemoteJWKSet(new URL("/oauth2/jwks", issuer));

export async function verify(token, scope) {
  const { payload } = await jwtVerify(token, keys, {
    issuer,
    audience,
    typ: "at+jwt",
    clockTolerance: 30, // seconds by which two clocks may differ
    algorithms: ["ES256", "RS256", "EdDSA"],
    requiredClaims: ["exp", "client_id", "client_uid"],
  });
  if (!(payload.scope ?? "").split(" ").includes(scope)) {
    throw new Error("the token lacks the scope");
  }
  return payload;
}

for await (const token of createInterface({ input: process.stdin })) {
  try {
    const claims = await verify(token, "read");
    console.log("passed", claims.client_id, claims.client_uid);
  } catch {
    console.log("refused");
  }
}
