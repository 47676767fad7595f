// Tokens that were handed out: for software that cannot fetch its own.

import { announce, choice, dialog, el, empty, field, form, path, pill, removal, state, table, time, button } from "./dom.js";
import { get, inNamespace, object, post } from "./api.js";
import { list } from "./list.js";
import { secret } from "./secret.js";

const health = (t) => t.expired ? state(t.staleUses.length > 0 ? "bad" : "warn", t.staleUses.length > 0 ? "Expired, still used" : "Expired") : t.endsSoon ? state("warn", "Expires soon") : pill(t.health);

const masked = "••••••••";

function show(t, may) {
  return dialog("Token " + t.name, (close) => [
    el("p", { class: "quiet" }, `It is in the Secret ${t.namespace}/${t.secret}. Whoever has it can call the API until it expires or is deleted.`),
    el("p", { class: "body" }, secret("Token", masked, object("tokens", t.namespace, t.name, "reveal"), {})),
    el("div", { class: "buttons body" }, button("Close", () => close()))]);
}

async function remove(t, reload) {
  const send = async (typed) => { await post(object("tokens", t.namespace, t.name, "delete"), { name: typed }); };
  if (await removal(t.name, "The token is revoked and its Secret is deleted. This cannot be undone.", send, { title: "Delete token " + t.name, done: t.name + " is deleted, and its token revoked." })) await reload();
}

// revokeOne revokes a token that is pasted. It leaves the page when it is sent.
function revokeOne(namespace) {
  const pasted = el("input", { type: "password", autocomplete: "off", spellcheck: "false", required: true });
  return dialog("Revoke a token", (close) => [el("p", {}, "Paste a token that was found where it should not be. It is revoked with the credentials of the client that it was issued to, for which you need the right to read their Secret."),
    el("div", { class: "body" }, form("Revoke", async () => {
      const token = pasted.value;
      pasted.value = "";
      announce((await post(inNamespace("/api/tokens/revoke", namespace), { token })).sentence);
      close(true);
    }, [field("Token", pasted, "A JWT, or one that begins with hpt_.")], { danger: true, cancel: close }))]);
}

// revokePerson revokes all tokens that act for a person, of whichever client.
function revokePerson() {
  const subject = el("input", { autocomplete: "off", spellcheck: "false", required: true, placeholder: "user:corp:00u1a2b3" });
  return dialog("Revoke the tokens of a person", (close) => [el("p", {}, "All tokens that act for the person and were issued so far are refused from now on, whichever client has them. A client that the person is brought to again gets a new token: end the access of the person at the identity provider first."),
    el("div", { class: "body" }, form("Revoke", async () => {
      announce((await post("/api/people/revoke", { subject: subject.value.trim() })).sentence);
      close(true);
    }, [field("Person", subject, "The claim sub of the tokens: user:, the name of the OAuth2TrustedIssuer, a colon, and the subject of the person there.")], { danger: true, cancel: close }))]);
}

const revokeAll = (namespace) => removal(namespace, "All tokens of all clients of this namespace that were issued so far are refused from now on. The clients keep their secrets, and can fetch new tokens.",
  async (typed) => (await post(object("namespaces", namespace, "revoke"), { name: typed })).sentence, { title: "Revoke all tokens of " + namespace, submit: "Revoke all" });

function columns({ may, reload, withClient, withNamespace }) {
  const all = [
    { name: "Name", first: true, sort: withClient ? "name" : null, cell: (t) => [el("b", {}, t.name), el("span", { class: "under" }, t.notes ?? "")] },
    withClient ? { name: "Client", cell: (t) => [el("a", { href: path("clients", t.namespace, t.client), "data-key": "client of " + t.namespace + "/" + t.name }, t.client), withNamespace ? el("span", { class: "under" }, t.namespace) : null] } : null,
    { name: "Last used", sort: withClient ? "used" : null, cell: (t) => time(t.lastUsed) },
    { name: "Expires", sort: withClient ? "expires" : null, cell: (t) => t.mode === "Refreshing" ? el("span", { class: "quiet" }, "replaced in time") : time(t.expires, "not yet issued") },
    { name: "State", cell: (t) => el("span", {}, health(t), t.health !== "Ready" && t.health !== "Expired" && t.state[0] ? el("span", { class: "under" }, t.state[0].text) : null) },
    may.secret || may.deleteToken ? { name: "", label: "Actions", cell: (t) => el("span", { class: "tools" },
      may.secret && t.secret ? button("Show…", () => show(t), { class: "mini", "data-key": "show " + t.namespace + "/" + t.name, "aria-label": "Show token " + t.name + "…" }) : null,
      may.deleteToken ? button("Delete…", () => remove(t, reload), { class: "mini", "data-key": "delete " + t.namespace + "/" + t.name, "aria-label": "Delete token " + t.name + "…" }) : null) } : null,
  ];
  return all.filter(Boolean);
}

// tokenTable is the table of the tokens of one client.
export const tokenTable = (tokens, context) => table("Tokens handed out", columns(context), tokens);

const day = (offset) => new Date(Date.now() + offset * 86_400_000).toISOString().slice(0, 10);

// newToken asks for a new token of a client, waits until it is there, and offers it.
export async function newToken(c) {
  const name = el("input", { required: true, autocomplete: "off", spellcheck: "false", pattern: "[a-z0-9]([\\-a-z0-9.]*[a-z0-9])?", maxlength: "63" });
  const end = el("input", { type: "date", min: day(1), value: day(30), required: true });
  const fixed = el("input", { type: "radio", name: "mode", checked: true });
  const refreshing = el("input", { type: "radio", name: "mode" });
  const notes = el("input", {});
  const own = c.targets.filter((t) => t.scopes.some((s) => s.granted));
  const target = own.length > 1 ? el("select", {}, own.map((t, i) => el("option", { value: String(i) }, t.resource ? t.namespace + " / " + t.resource : "its own namespace"))) : null;
  const scopes = el("fieldset", {});
  const fill = () => {
    const t = own[Number(target?.value ?? 0)];
    scopes.replaceChildren(el("legend", {}, "Scopes"), ...(t ? t.scopes.filter((s) => s.granted).map((s) => choice(el("input", { type: "checkbox", value: s.name, checked: true }), s.name)) : [el("span", { class: "hint" }, "The client is granted none.")]));
  };
  fill();
  target?.addEventListener("change", fill);
  const dated = field("Expires on", end, "When this day begins, at 00:00 UTC.");
  for (const radio of [fixed, refreshing]) radio.addEventListener("change", () => { dated.hidden = !fixed.checked; end.disabled = !fixed.checked; });
  const created = await dialog("New token", (close) => form("Create token", async () => {
    const t = own[Number(target?.value ?? 0)];
    const chosen = [...scopes.querySelectorAll("input:checked")].map((box) => box.value);
    await post(object("clients", c.namespace, c.name, "tokens"), {
      name: name.value.trim(), expiresAt: fixed.checked ? end.value : "", notes: notes.value.trim(), resource: t?.resource ? t.audience : "", scopes: chosen,
    });
    close(name.value.trim());
  }, [
    field("Name", name, "Lower-case letters, digits and hyphens, such as wall-display."),
    el("fieldset", {}, el("legend", {}, "How long"), choice(fixed, "Until a date", "For software into which a person copies it."), choice(refreshing, "Always a fresh one in the Secret", "For software that reads a file: it is replaced before it expires.")),
    dated, target ? field("For", target) : null, scopes, field("Notes", notes, "Who uses it, and for what."),
  ], { cancel: close }));
  if (!created) return false;
  announce("Token " + created + " is created. Hallpass is issuing it…");
  for (let tries = 0; tries < 30; tries++) {
    const all = await get(inNamespace("/api/tokens", c.namespace), { background: true });
    const t = all.find((one) => one.name === created);
    if (t?.health === "Ready" && t.secret) {
      if (c.may.secret) await show(t);
      return true;
    }
    if (t && !["Pending", "Progressing", "Ready"].includes(t.health)) {
      announce(t.state[0]?.text ?? t.health);
      return true;
    }
    await new Promise((resolve) => setTimeout(resolve, 500));
  }
  announce("The token is not there yet. It appears in the list as soon as the manager of Hallpass has issued it.");
  return true;
}

export async function tokens(page) {
  const may = page.namespace ? await get(inNamespace("/api/rights", page.namespace), { signal: page.signal }) : {};
  const load = async (options) => {
    shown.rows = await get(inNamespace("/api/tokens", page.namespace), { signal: page.signal, ...options });
    shown.complete = true;
    if (page.alive) shown.draw();
  };
  const shown = list(page, {
    noun: "token", first: "name", columns: columns({ may, reload: () => load(), withClient: true, withNamespace: !page.namespace }),
    search: (t) => [t.name, t.client, t.namespace, t.notes, t.health].join(" "),
    order: { name: (t) => t.name, used: (t) => t.lastUsed ?? "", expires: (t) => t.expires ?? "" },
    filters: { ending: ["Expired or soon", (t) => t.expired || t.endsSoon], unhealthy: ["Not ready", (t) => t.health !== "Ready"] },
    none: () => empty("No tokens were handed out", "For software that cannot fetch its own token, open a client and choose New token."),
  });
  const tools = [
    page.session.readOnly || page.namespace && !may.secret ? null : button("Revoke a token…", () => revokeOne(page.namespace)),
    page.session.mayRevokePeople ? button("Revoke a person…", revokePerson) : null,
    may.revoke ? button("Revoke all of the namespace…", () => revokeAll(page.namespace), { class: "danger" }) : null,
  ].filter(Boolean);
  page.draw("Tokens", el("div", { class: "head" }, el("h1", {}, "Tokens"), tools.length > 0 ? el("div", { class: "tools" }, tools) : null), el("p", { class: "lead" }, "Tokens that were handed out. Those that clients fetch themselves are not stored, so no page can list them."), shown.controls, shown.results);
  page.reloadOn({ about: (change) => change.kind === "tokens" }, load);
  await load();
}
