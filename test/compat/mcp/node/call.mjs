// Calls the tool whoami of an MCP server with a provider of a TypeScript SDK: call.mjs MAJOR
// secret|key|assertion|person. NODE_EXTRA_CA_CERTS names the file with the CA of Hallpass. The SDKs
// are used as their documentation shows.
import { readFileSync } from "node:fs";

const [major, method] = process.argv.slice(2);
const { ISSUER, MCP_URL, CLIENT_ID, CLIENT_SECRET, KEY_FILE, ASSERTION_FILE, PERSON_FILE } = process.env;

const sdk = await {
  1: async () => ({
    ...(await import("@modelcontextprotocol/sdk/client/index.js")),
    ...(await import("@modelcontextprotocol/sdk/client/streamableHttp.js")),
    ...(await import("@modelcontextprotocol/sdk/client/auth-extensions.js")),
  }),
  2: () => import("@modelcontextprotocol/client"),
}[major]();

const authProvider = {
  secret: () => new sdk.ClientCredentialsProvider({ clientId: CLIENT_ID, clientSecret: CLIENT_SECRET, expectedIssuer: ISSUER }),
  key: () =>
    new sdk.PrivateKeyJwtProvider({
      clientId: CLIENT_ID,
      privateKey: readFileSync(KEY_FILE, "utf8"),
      algorithm: "ES256",
      expectedIssuer: ISSUER,
    }),
  assertion: () =>
    new sdk.StaticPrivateKeyJwtProvider({
      clientId: CLIENT_ID,
      jwtBearerAssertion: readFileSync(ASSERTION_FILE, "utf8"),
      expectedIssuer: ISSUER,
    }),
  person: () =>
    new sdk.CrossAppAccessProvider({
      clientId: CLIENT_ID,
      clientSecret: CLIENT_SECRET,
      assertion: () => readFileSync(PERSON_FILE, "utf8"),
      expectedIssuer: ISSUER,
    }),
}[method]();

const client = new sdk.Client({ name: "agent", version: "1.0.0" });
await client.connect(new sdk.StreamableHTTPClientTransport(new URL(MCP_URL), { authProvider }));
const result = await client.callTool({ name: "whoami", arguments: {} });
console.log(result.content[0].text);
await client.close();
