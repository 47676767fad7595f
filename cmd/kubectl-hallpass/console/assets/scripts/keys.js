// The keys that sign tokens, and their lives. Their private halves never leave the cluster's API.

import { el, pill, table, time } from "./dom.js";
import { get } from "./api.js";

export async function keys(page) {
  const head = [el("h1", {}, "Signing keys"), el("p", { class: "lead" }, "The keys that sign tokens. A key is published before it signs, and stays published until every token that it has signed has expired.")];
  if (!page.session.mayKeys) {
    page.draw("Keys", ...head, el("div", { class: "body panel" }, el("p", { class: "note" }, "The lives of the keys are beside the private keys, so an administrator of the cluster alone can list them. Everybody can read the public keys at /oauth2/jwks of the issuer.")));
    return;
  }
  const all = await get("/api/keys", { signal: page.signal });
  page.draw("Keys", ...head, el("div", { class: "body panel list" }, table("Signing keys", [
    { name: "Key", first: true, cell: (k) => el("code", {}, k.kid) },
    { name: "Algorithm", cell: (k) => k.alg || "-" },
    { name: "State", cell: (k) => el("span", {}, pill(k.state)) },
    { name: "Published", cell: (k) => time(k.publishedAt, "-") },
    { name: "Signs from", cell: (k) => time(k.activeAt, "-") },
    { name: "Signs until", cell: (k) => time(k.retiredAt, "its successor is active") },
    { name: "Verifies until", cell: (k) => time(k.goneAt, "-") },
  ], all)));
}
