// Calls an API every minute with an access token of Hallpass. Needs Node 20 or later, and no
// package. NODE_EXTRA_CA_CERTS names the file with the CA of Hallpass. Node warns and continues if
// it is missing.
import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";

const mounted = process.env.HALLPASS_DIR ?? "/etc/oauth2";

// current is the token, and fetching a promise of the next one: calls at the same time fetch one
// token.
let current, fetching;

async function accessToken() {
  if (current === undefined || Date.now() >= current.renewAt) {
    fetching ??= fetchToken().finally(() => (fetching = undefined));
    current = await fetching;
  }
  return current.value;
}

async function fetchToken() {
  // The files are read for each token, because the kubelet replaces them when the secret is
  // rotated.
  const endpoint = existsSync(join(mounted, "internal_token_url")) ? "internal_token_url" : "token_url";
  const [id, secret, url] = await Promise.all(
    ["client_id", "client_secret", endpoint].map((name) => readFile(join(mounted, name), "utf8")),
  );
  const response = await fetch(url, {
    method: "POST",
    headers: { authorization: `Basic ${Buffer.from(`${encodeURIComponent(id)}:${encodeURIComponent(secret)}`).toString("base64")}` },
    body: new URLSearchParams({ grant_type: "client_credentials" }),
    signal: AbortSignal.timeout(10_000),
  });
  if (!response.ok) {
    throw new Error(`the token endpoint answers ${response.status}: ${await response.text()}`);
  }
  const answer = await response.json();
  return { value: answer.access_token, renewAt: Date.now() + (answer.expires_in - 60) * 1000 };
}

async function call(url) {
  const send = (token) =>
    fetch(url, { headers: { authorization: `Bearer ${token}` }, signal: AbortSignal.timeout(30_000) });
  const token = await accessToken();
  let response = await send(token);
  if (response.status === 401) {
    // The token was revoked, or its signing key was withdrawn: fetch another one, once.
    if (current?.value === token) {
      current = undefined;
    }
    response = await send(await accessToken());
  }
  return response.status;
}

for (;;) {
  try {
    console.log(await call(process.env.API_URL));
  } catch (problem) {
    console.log("try again later:", problem.message);
  }
  await setTimeout(Number(process.env.INTERVAL ?? "60") * 1000);
}
