// Calls an API every minute with an access token of Hallpass. Needs Node 20 or later, and no package.
// NODE_EXTRA_CA_CERTS names the file with the CA of Hallpass.
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";

const mounted = process.env.HALLPASS_DIR ?? "/etc/oauth2";

// current is a promise of the token, so that calls at the same time fetch one token.
let current;

async function accessToken() {
  const known = await current?.catch(() => undefined);
  if (known === undefined || Date.now() >= known.renewAt) {
    current = fetchToken();
  }
  return (await current).value;
}

async function fetchToken() {
  // The files are read for each token, because the kubelet replaces them when the secret is rotated.
  const [id, secret, url] = await Promise.all(
    ["client_id", "client_secret", "token_url"].map((name) => readFile(join(mounted, name), "utf8")),
  );
  const response = await fetch(url, {
    method: "POST",
    headers: { authorization: `Basic ${Buffer.from(`${id}:${secret}`).toString("base64")}` },
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
  const send = async () =>
    fetch(url, {
      headers: { authorization: `Bearer ${await accessToken()}` },
      signal: AbortSignal.timeout(30_000),
    });
  let response = await send();
  if (response.status === 401) {
    // The token was revoked, or its signing key was withdrawn: fetch another one, once.
    current = undefined;
    response = await send();
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
