// Connects to an MCP server as a client that wants a person to log in: login.mjs MAJOR. Prints the
// error, and the address to which the person would be sent, if there is one.
const [major] = process.argv.slice(2);

const sdk = await {
  1: async () => ({
    ...(await import("@modelcontextprotocol/sdk/client/index.js")),
    ...(await import("@modelcontextprotocol/sdk/client/streamableHttp.js")),
  }),
  2: () => import("@modelcontextprotocol/client"),
}[major]();

const authProvider = {
  redirectUrl: "http://127.0.0.1:3000/callback",
  clientMetadata: { client_name: "interactive", redirect_uris: ["http://127.0.0.1:3000/callback"] },
  clientInformation: () => ({ client_id: process.env.CLIENT_ID, issuer: process.env.ISSUER }),
  tokens: () => undefined,
  saveTokens: () => {},
  saveCodeVerifier: () => {},
  codeVerifier: () => "",
  redirectToAuthorization: (url) => console.log("redirect:", String(url)),
};

const client = new sdk.Client({ name: "interactive", version: "1.0.0" });
try {
  await client.connect(new sdk.StreamableHTTPClientTransport(new URL(process.env.MCP_URL), { authProvider }));
  console.log("connected");
} catch (problem) {
  console.log("error:", problem.message);
}
