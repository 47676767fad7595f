// A client: its credentials, what it may call, its tokens, and what one may do with it.

import { announce, button, choice, contact, copy, copyable, date, dialog, el, field, form, next, panel, path, pill, removal, state, table, time, words } from "./dom.js";
import { get, object, post } from "./api.js";
import { secret } from "./secret.js";
import { eventTable } from "./events.js";
import { newToken, tokenTable } from "./tokens.js";

const order = ["token_url", "internal_token_url", "scope", "resource", "issuer_url", "jwks_url", "introspection_url"];
const titles = { client_id: "Client ID", client_secret: "Client secret", token_url: "Token URL", issuer_url: "Issuer", jwks_url: "Keys (JWKS)", introspection_url: "Introspection", internal_token_url: "Token URL inside the cluster", resource: "Resource", scope: "Scopes" };

// credentials are the entries of the Secret of a client.
function credentials(c, entries, problem) {
  const api = object("clients", c.namespace, c.name, "reveal");
  const rows = [];
  const fact = (name, ...value) => rows.push(el("dt", {}, name), el("dd", {}, ...value));
  fact("Client ID", el("span", { class: "value" }, el("code", {}, c.id), button("Copy", () => copy(c.id, "Client ID"), { class: "mini", "aria-label": "Copy Client ID", "data-key": "copy Client ID" })));
  const place = (e) => e.name === entries.secretEntry ? -1 : order.includes(e.name) ? order.indexOf(e.name) : order.length;
  for (const e of (entries?.entries ?? []).toSorted((a, b) => place(a) - place(b))) {
    if (e.name === entries.idEntry || e.name === entries.caEntry) continue;
    const title = titles[e.name] ?? e.name;
    if (e.masked) fact(title, secret(title, e.text, api, { entry: e.name }));
    else if (e.text) fact(title, el("span", { class: "value" }, el("code", {}, e.text), e.name === "scope" ? null : button("Copy", () => copy(e.text, title), { class: "mini", "aria-label": "Copy " + title, "data-key": "copy " + title })));
  }
  if (entries?.entries.some((e) => e.name === entries.caEntry)) {
    const certificate = entries.entries.find((e) => e.name === entries.caEntry).text;
    fact("CA certificate", el("span", { class: "value" }, el("code", {}, entries.caEntry), button("Copy", () => copy(certificate, "CA certificate"), { class: "mini", "aria-label": "Copy CA certificate", "data-key": "copy CA certificate" })));
  }
  if (c.secret) fact("Secret", el("code", {}, c.namespace + "/" + c.secret));
  else if (c.configMap) fact("ConfigMap", el("code", {}, c.namespace + "/" + c.configMap));
  return panel("Credentials", null, el("dl", { class: "facts" }, rows), problem ? el("p", { class: "note" }, problem) : null,
    entries?.curl ? el("details", { "data-key": "curl" }, el("summary", {}, "Fetch a token with curl"), copyable(entries.curl, "curl line")) : null);
}

function mayCall(c) {
  const rows = c.targets.flatMap((t) => t.scopes.map((s) => ({ ...s, target: t })));
  const where = (t) => t.resource ? el("a", { href: path("resources", t.namespace, t.resource), "data-key": "target " + t.namespace + "/" + t.resource }, `${t.namespace} / ${t.resource}`) : "its own namespace";
  const missing = rows.filter((s) => !s.granted);
  return panel("May call", null,
    rows.length === 0 ? el("p", { class: "quiet" }, "It asks for no scope.") : table("What the client may call", [
      { name: "API", first: true, cell: (s) => where(s.target) },
      { name: "Scope", cell: (s) => el("code", {}, s.name) },
      { name: "Granted", cell: (s) => el("span", {}, s.granted ? state("good", "Granted") : state("warn", "Missing")) },
    ], rows),
    missing.map((s) => el("div", { class: "note warn" }, el("span", {}, s.sentence), next(s.do))));
}

function secrets(c) {
  if (c.credentials.length === 0 && !c.nextRotation && !c.rotationWaits) return null;
  return panel("Secrets that are accepted", null,
    c.credentials.length > 0 ? table("Client secrets that are accepted", [
      { name: "Id", first: true, cell: (k) => [el("code", {}, k.id), k.kept ? el("span", { class: "under" }, k.kept) : null] },
      { name: "Created", cell: (k) => time(k.created) },
      { name: "Last used", cell: (k) => time(k.lastUsed) },
      { name: "Ends", cell: (k) => time(k.expires, "current") },
    ], c.credentials) : null,
    c.nextRotation ? el("p", { class: "quiet" }, "The next rotation is due ", time(c.nextRotation), ", on ", date(c.nextRotation), ".") : null,
    c.rotationWaits ? el("p", { class: "note warn" }, c.rotationWaits) : null);
}

// people are the facts about the grant types of a client, and about people who log in for it.
function people(c) {
  const facts = c.grantTypes ? [["Grant types", c.grantTypes]] : [];
  if (!c.login) return facts;
  return [...facts, ["Redirect URIs", c.redirectURIs.map((uri) => el("div", {}, el("code", {}, uri)))], ["People log in", c.login], ["Refresh tokens", c.refreshTokens]];
}

function about(c, mayIssuers) {
  const issuer = c.issuer && mayIssuers ? [["Trusted issuer", el("a", { href: path("issuers", c.issuer), "data-key": "issuer" }, c.issuer)]] : [];
  const facts = [["Authenticates by", c.authentication], ...issuer, ...(c.jwt ? [["Its JWT has", c.jwt.map((rule) => el("div", {}, rule))]] : []), ...people(c), ["Tokens", c.lifetime], ["Created", time(c.created)], ["Last used", time(c.lastUsed)], ["Last token issued", time(c.lastIssued)]];
  return panel("About", null, el("dl", { class: "facts" }, facts.map(([name, value]) => [el("dt", {}, name), el("dd", {}, value)])));
}

// ask shows a dialog with a form.
const ask = (title, text, submit, send, fields = [], danger = false) => dialog(title, (close) => [
  el("p", {}, text), el("div", { class: "body" }, form(submit, async (f) => { const said = await send(f); close(true); announce(said); }, fields, { danger, cancel: close }))]);

function actions(c, reload) {
  const api = (verb) => object("clients", c.namespace, c.name, verb);
  const may = c.may;
  const after = async (asked) => { if (await asked) await reload(); };
  const rotate = () => {
    const now = el("input", { type: "checkbox" });
    return after(ask("Rotate the client secret", "Hallpass makes a new secret and writes it into the Secret. The old one is accepted until the overlap ends, so that nothing fails meanwhile.", "Rotate",
      async () => (await post(api("rotate"), { now: now.checked })).sentence,
      [choice(now, "Refuse the old secret at once", "After a leak. Software that still has the old secret is refused from now on. Then revoke the tokens, too.")]));
  };
  const suspend = () => after(ask("Suspend " + c.name, "It gets no tokens, and those that it has are refused, until you resume it. Its secret and its grants are kept.", "Suspend",
    async () => { await post(api("suspend")); return c.name + " is suspended."; }, [], true));
  const resume = async () => {
    try {
      await post(api("resume"));
      announce(c.name + " works again.");
      await reload();
    } catch (problem) {
      announce(problem.sentence);
    }
  };
  const revoke = () => after(ask("Revoke all tokens", "All tokens of this client that were issued so far are refused from now on. It can fetch new ones: if its secret has leaked, rotate that first.", "Revoke tokens",
    async () => { await post(api("revoke")); return "The tokens of " + c.name + " are revoked."; }, [], true));
  const edit = () => {
    const name = el("input", { value: c.displayName ?? "", maxlength: "100" });
    const notes = el("textarea", { value: c.notes ?? "" });
    const contacts = el("input", { value: c.contacts.join(", ") });
    return after(dialog("Name, notes and contacts", (close) => form("Save", async () => {
      await post(api("set"), { displayName: name.value.trim(), notes: notes.value.trim(), contacts: words(contacts.value) });
      close(true);
      announce("Saved.");
    }, [field("Display name", name), field("Notes", notes, "What it does, and which team runs it."), field("Contacts", contacts, "E-mail addresses or URIs, with commas between them.")], { cancel: close })));
  };
  const remove = () => removal(c.name, "Its credentials and tokens are refused at once, and its Secret is deleted. This cannot be undone: a new client of the same name has another secret.", async (typed) => {
    await post(api("delete"), { name: typed });
    location.hash = path("clients");
  });
  return el("div", { class: "tools" },
    may.change ? button("Edit…", edit) : null,
    may.change && !c.notRotatable ? button("Rotate secret…", rotate) : null,
    may.change ? (c.suspended ? button("Resume", resume) : button("Suspend…", suspend)) : null,
    may.revoke ? button("Revoke tokens…", revoke) : null,
    may.delete ? button("Delete…", remove, { class: "danger" }) : null);
}

export async function client(page, namespace, name) {
  let c;
  let entries = null;
  let problem = "";
  let events = null;

  const draw = () => {
    // That it is ready is beside its name, and what is not granted is beside the scope.
    const lines = c.state.slice(c.health === "Ready" ? 1 : 0).filter((line) => !line.text.startsWith("GrantsComplete "));
    page.draw(c.displayName || c.name,
      el("p", { class: "crumb" }, el("a", { href: path("clients"), "data-key": "crumb" }, "Clients"), " / ", c.namespace, " / ", c.name),
      el("div", { class: "head" }, el("div", { class: "title" }, el("h1", {}, c.displayName || c.name), pill(c.health)), actions(c, load)),
      c.notes ? el("p", { class: "lead" }, c.notes) : null,
      c.contacts.length > 0 ? el("p", { class: "lead" }, "Ask ", c.contacts.map((text, i) => [i > 0 ? ", " : "", contact(text)])) : null,
      lines.length === 0 ? null : el("div", { class: "body" }, lines.map((line) => el("div", { class: "note warn" }, el("span", {}, line.text), next(line.next)))),
      el("div", { class: "body columns" },
        el("div", { class: "stack" }, credentials(c, entries, problem),
          panel("Tokens handed out", c.may.createToken ? [button("New token…", async () => { if (await newToken(c)) await load(); }, { class: "main" })] : null,
            el("p", { class: "quiet" }, "For software that cannot fetch its own. Tokens that the client fetches itself are not stored, so they are not listed."),
            c.tokensError ? el("p", { class: "note" }, c.tokensError) : c.tokens.length > 0 ? tokenTable(c.tokens, { may: c.may, reload: load }) : null),
          events?.length > 0 ? panel("Events", null, eventTable(events, false)) : null),
        el("div", { class: "stack" }, mayCall(c), secrets(c),
          c.refusals.length > 0 ? panel("Refused, or used too late", null, el("ul", { class: "stack" }, c.refusals.map((r) => el("li", { class: "note warn" }, el("span", {}, r.text), el("span", { class: "quiet small" }, "last ", time(r.last)))))) : null,
          about(c, page.session.mayIssuers))),
      el("details", { class: "panel body", "data-key": "yaml" }, el("summary", {}, "YAML"), copyable(c.yaml, "YAML")));
  };
  const load = async (options) => {
    c = await get(object("clients", namespace, name), { signal: page.signal, ...options });
    if (c.may.secret && c.secret || c.may.configMap && c.configMap && !c.secret) {
      try {
        entries = await get(object("clients", namespace, name, "entries"), { signal: page.signal, background: true });
        problem = "";
      } catch (failure) {
        if (failure.name === "AbortError") return;
        entries = null;
        problem = failure.sentence;
      }
    } else if (c.secret || c.configMap) {
      problem = `You may not read the ${c.secret ? "Secret" : "ConfigMap"} of this client, which has its URLs${c.secret ? " and its secret" : ""}. The role edit of the namespace is enough; ask its administrator.`;
    }
    if (c.may.events) events = await get(object("clients", namespace, name, "events"), { signal: page.signal, background: true }).catch(() => null);
    if (page.alive) draw();
  };
  const here = (change) => change.namespace === namespace;
  page.reloadOn({
    about: (change) => here(change) && (change.kind === "tokens" || change.event?.kind === "OAuth2Client" && change.event.name === name),
    own: (change) => here(change) && change.kind === "clients" && change.name === name, name, after: 700,
  }, load);
  await load();
}
