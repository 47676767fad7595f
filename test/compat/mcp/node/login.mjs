// Has a person log in for an MCP server, and calls the tool whoami twice, with an access token that
// has to be replaced in between: login.mjs MAJOR. It prints the address that the person opens, and
// reads the one to which the person is sent back. NODE_EXTRA_CA_CERTS names the file with the CA of
// Hallpass. The SDKs are used as their documentation shows.
import { createInterface } from "node:readline";

const [major] = process.argv.slice(2);
const { MCP_URL, ISSUER, CLIENT_ID, REDIRECT_URI = "http://127.0.0.1:3000/callback" } = process.env;
const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();

const sdk = await {
  1: async () => ({
    ...(await import("@modelcontextprotocol/sdk/client/index.js")),
    ...(await import("@modelcontextprotocol/sdk/client/streamableHttp.js")),
    ...(await import("@modelcontextprotocol/sdk/client/auth.js")),
  }),
  2: () => import("@modelcontextprotocol/client"),
}[major]();

const state = crypto.randomUUID();
let tokens, verifier;
const authProvider = {
  redirectUrl: REDIRECT_URI,
  clientMetadata: { client_name: "interactive", redirect_uris: [REDIRECT_URI], token_endpoint_auth_method: "none" },
  clientInformation: () => ({ client_id: CLIENT_ID, issuer: ISSUER }),
  state: () => state,
  tokens: () => tokens,
  saveTokens: (saved) => {
    tokens = saved;
    console.log("saved");
  },
  saveCodeVerifier: (saved) => (verifier = saved),
  codeVerifier: () => verifier,
  redirectToAuthorization: (address) => console.log("open", String(address)),
};

async function connect() {
  const client = new sdk.Client({ name: "interactive", version: "1.0.0" });
  const transport = new sdk.StreamableHTTPClientTransport(new URL(MCP_URL), { authProvider });
  try {
    await client.connect(transport);
  } catch (problem) {
    if (!(problem instanceof sdk.UnauthorizedError)) throw problem;
    const back = new URL((await lines.next()).value).searchParams;
    if (back.get("state") !== state) throw new Error("the answer is that of another request");
    await transport.finishAuth(major === "1" ? back.get("code") : back);
    return connect();
  }
  return client;
}

try {
  const client = await connect();
  for (const _ of ["with the first token", "with the next one"]) {
    const result = await client.callTool({ name: "whoami", arguments: {} });
    console.log("tool", result.content[0].text);
    tokens = { ...tokens, access_token: "stale" };
  }
} catch (problem) {
  console.log("error:", problem.message);
  process.exitCode = 1;
}
process.exit();
