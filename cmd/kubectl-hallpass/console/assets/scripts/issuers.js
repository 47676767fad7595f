// The trusted issuers: platforms whose JWTs authenticate clients without a secret.

import { copyable, date, el, empty, next, panel, path, pill, state, table, time } from "./dom.js";
import { get, object } from "./api.js";
import { list } from "./list.js";

const lead = () => el("p", { class: "lead" }, "Platforms such as GitHub Actions or another cluster, whose JWTs authenticate clients without a secret. They belong to the cluster, and not to a namespace.");
const notAllowed = "By default only administrators of the cluster may read trusted issuers. Ask one for the name of the issuer and for what its JWTs must have.";

const keys = (i) => i.keys.length === 0 ? el("span", { class: "warn-text" }, "none") : el("span", {}, String(i.keys.length),
  el("span", { class: "under" }, i.inline ? "in its spec" : ["fetched ", time(i.fetched)]));

export async function issuers(page) {
  const head = [el("h1", {}, "Trusted issuers"), lead()];
  if (!page.session.mayIssuers) {
    page.draw("Issuers", ...head, el("div", { class: "body panel" }, el("p", { class: "note" }, notAllowed)));
    return;
  }
  const shown = list(page, {
    noun: "issuer", first: "name",
    columns: [
      { name: "Name", first: true, sort: "name", cell: (i) => [el("a", { href: path("issuers", i.name), "data-key": i.name }, i.displayName || i.name), el("span", { class: "under" }, i.displayName ? i.name : "")] },
      { name: "Issuer (iss)", cell: (i) => el("code", {}, i.issuer) },
      { name: "State", cell: (i) => el("span", {}, pill(i.health)) },
      { name: "Keys", cell: (i) => keys(i) },
      { name: "Clients", sort: "clients", cell: (i) => String(i.clients ?? 0) },
      { name: "May be named by", cell: (i) => i.entries.length === 0 ? el("span", { class: "quiet" }, "no client") : el("span", {}, i.entries.map((e) => e.clients).join("; ")) },
    ],
    search: (i) => [i.name, i.displayName, i.issuer, i.health, ...i.entries.map((e) => e.clients)].join(" "),
    order: { name: (i) => (i.displayName || i.name).toLowerCase(), clients: (i) => i.clients ?? 0 },
    filters: { unhealthy: ["Not ready", (i) => i.health !== "Ready"], unused: ["Named by no client", (i) => !i.clients] },
    none: () => empty("No issuer is trusted", "An administrator of the cluster creates an OAuth2TrustedIssuer for a platform. Its jobs and pods then need no secret."),
  });
  page.draw("Issuers", ...head, shown.controls, shown.results);
  const load = async (options) => {
    shown.rows = await get("/api/issuers", { signal: page.signal, ...options });
    shown.complete = true;
    if (page.alive) shown.draw();
  };
  page.reloadOn({ about: (change) => change.kind === "issuers" }, load);
  await load();
}

export async function issuer(page, name) {
  const load = async (options) => {
    const i = await get(object("issuers", name), { signal: page.signal, ...options });
    if (page.alive) draw(page, i);
  };
  const own = (change) => change.kind === "issuers" && change.name === name;
  page.reloadOn({ about: own, own, name }, load);
  await load();
}

function draw(page, i) {
  const title = i.displayName || i.name;
  const lines = i.state.slice(i.health === "Ready" ? 1 : 0);
  page.draw(title,
    el("p", { class: "crumb" }, el("a", { href: path("issuers"), "data-key": "crumb" }, "Issuers"), " / ", i.name),
    el("div", { class: "head" }, el("div", { class: "title" }, el("h1", {}, title), pill(i.health))),
    el("p", { class: "lead" }, i.issuer.startsWith("spiffe://") ? "Its JWT-SVIDs are of the trust domain " : "Its JWTs have the issuer (iss) ", el("code", {}, i.issuer)),
    lines.length === 0 ? null : el("div", { class: "body" }, lines.map((line) => el("div", { class: "note warn" }, el("span", {}, line.text), next(line.next)))),
    el("div", { class: "body columns" }, el("div", { class: "stack" }, namedBy(i), publicKeys(i)), el("div", { class: "stack" }, about(i))),
    el("details", { class: "panel body", "data-key": "yaml" }, el("summary", {}, "YAML"), copyable(i.yaml, "YAML")));
}

function namedBy(i) {
  return panel("May be named by", null, i.entries.length === 0 ? el("p", { class: "quiet" }, "No client: no namespace may use it. Add one to spec.namespaces.") : table("Who may name the issuer", [
    { name: "Who", first: true, cell: (e) => el("span", {}, e.clients) },
    { name: "Needs", cell: (e) => el("span", {}, e.jwt) },
  ], i.entries));
}

function publicKeys(i) {
  const until = i.keysUntil ? el("p", { class: "quiet" }, "They are used until ", date(i.keysUntil), ", unless they are fetched again before.") : null;
  return panel("Keys that are used", null,
    i.keys.length === 0 ? el("p", { class: "note warn" }, "None, so its JWTs are refused.") : table("Keys of the issuer", [
      { name: "Id", first: true, cell: (k) => el("code", {}, k.id) },
      { name: "Algorithm", cell: (k) => el("span", {}, k.algorithm) },
    ], i.keys), until);
}

function about(i) {
  const suspended = i.health === "Suspended" ? [["JWTs", state("warn", "Refused")]] : [["JWTs", i.jwts]];
  const facts = [["Used for", i.uses === "Client" ? "clients" : i.uses], ...suspended, ["Audience (aud)", i.audience], ["Keys from", i.keysFrom],
    ...(i.inline ? [] : [["Keys fetched", time(i.fetched)]]), ["Clients that name it", String(i.clients ?? 0)], ["Created", time(i.created)]];
  return panel("About", null, el("dl", { class: "facts" }, facts.map(([name, value]) => [el("dt", {}, name), el("dd", {}, value)])));
}
