// The APIs of a namespace: their scopes, and who may call them.

import { announce, button, choice, copyable, dialog, el, empty, field, form, next, panel, path, pill, removal, table, time } from "./dom.js";
import { get, inNamespace, object, post } from "./api.js";
import { list } from "./list.js";
import { scopeRows } from "./newresource.js";

const codes = (all) => all.map((one, i) => [i > 0 ? ", " : "", el("code", {}, one)]);

export async function resources(page) {
  const may = page.namespace ? await get(inNamespace("/api/rights", page.namespace), { signal: page.signal }) : {};
  const create = () => may.createResource ? el("a", { class: "button main", href: path("new-resource"), "data-key": "new" }, "New API") : null;
  const shown = list(page, {
    noun: "resource", first: "name",
    columns: [
      { name: "Name", first: true, sort: "name", cell: (r) => [el("a", { href: path("resources", r.namespace, r.name), "data-key": r.namespace + "/" + r.name }, r.displayName || r.name), el("span", { class: "under" }, page.namespace ? (r.displayName ? r.name : "") : r.namespace + " / " + r.name)] },
      { name: "Identifier", cell: (r) => el("code", {}, r.identifier ?? "") },
      { name: "State", cell: (r) => el("span", {}, pill(r.health)) },
      { name: "Scopes", cell: (r) => String(r.scopes.length) },
      { name: "May be called by", cell: (r) => r.grants.length === 0 ? el("span", { class: "quiet" }, "no client") : el("span", {}, r.grants.map((g) => g.callers).join("; ")) },
      { name: "Clients", sort: "clients", cell: (r) => String(r.clients ?? 0) },
    ],
    search: (r) => [r.name, r.displayName, r.identifier, r.namespace, ...r.scopes.map((s) => s.name)].join(" "),
    order: { name: (r) => (r.displayName || r.name).toLowerCase(), clients: (r) => r.clients ?? 0 },
    none: () => empty("No APIs are declared here", "Without a declaration the clients of a namespace call the APIs of that namespace. Declare an API to offer it to others.", ...[create()].filter(Boolean)),
  });
  page.draw("Resources", el("div", { class: "head" }, el("h1", {}, "Resources"), create() ? el("div", { class: "tools" }, create()) : null), el("p", { class: "lead" }, "APIs that their owners have declared, and to whom they grant their scopes."), shown.controls, shown.results);
  const load = async (options) => {
    shown.rows = await get(inNamespace("/api/resources", page.namespace), { signal: page.signal, ...options });
    shown.complete = true;
    if (page.alive) shown.draw();
  };
  page.reloadOn({ about: (change) => change.kind === "resources" }, load);
  await load();
}

const scopeBoxes = (scopes) => el("fieldset", {}, el("legend", {}, "Scopes"), scopes.map((s) => choice(el("input", { type: "checkbox", value: s }), s)));
const checked = (boxes) => [...boxes.querySelectorAll("input:checked")].map((box) => box.value);

export async function resource(page, namespace, name) {
  let r;
  const api = (verb) => object("resources", namespace, name, verb);
  const grant = async () => {
    const to = el("input", { required: true, autocomplete: "off", spellcheck: "false" });
    const boxes = scopeBoxes(r.scopes.map((s) => s.name));
    const granted = await dialog("Grant scopes", (close) => form("Grant", async () => {
      await post(api("grant"), { namespace: to.value.trim(), scopes: checked(boxes) });
      close(true);
      announce("Granted to the clients of namespace " + to.value.trim() + ".");
    }, [field("Namespace of the clients", to, "All clients of the namespace that ask for these scopes get them."), boxes], { cancel: close }));
    if (granted) await load();
  };
  const ungrant = async (from, scopes) => {
    const done = await dialog("Take scopes away", (close) => [
      el("p", {}, `Clients of namespace ${from} get no more tokens with ${scopes.join(", ")}, and Hallpass no longer counts these scopes in tokens that were issued.`),
      el("div", { class: "body" }, form("Take away", async () => {
        await post(api("ungrant"), { namespace: from, scopes });
        close(true);
        announce("Taken away from the clients of namespace " + from + ".");
      }, [], { danger: true, cancel: close }))]);
    if (done) await load();
  };
  const edit = async () => {
    const displayName = el("input", { value: r.displayName ?? "", maxlength: "100" });
    const scopes = scopeRows(r.scopes);
    const saved = await dialog("Name and scopes", (close) => form("Save", async () => {
      await post(api("declare"), { displayName: displayName.value.trim(), scopes: scopes.values() });
      close(true);
      announce("Saved.");
    }, [field("Display name", displayName), scopes.element, el("p", { class: "quiet small" }, "Empty both fields of a scope to remove it. A scope that is granted cannot be removed.")], { cancel: close }));
    if (saved) await load();
  };
  const remove = () => removal(r.name, "Clients lose what it grants: they get no more tokens for it, and Hallpass no longer accepts its scopes in tokens that were issued. This cannot be undone.", async (typed) => {
    await post(api("delete"), { name: typed });
    location.hash = path("resources");
  });
  const tools = () => [
    r.may.grant && r.scopes.length > 0 ? button("Grant scopes…", grant, { class: "main" }) : null,
    r.may.grant ? button("Edit…", edit) : null,
    r.may.deleteResource ? button("Delete…", remove, { class: "danger" }) : null,
  ].filter(Boolean);
  const draw = () => page.draw(r.displayName || r.name,
    el("p", { class: "crumb" }, el("a", { href: path("resources"), "data-key": "crumb" }, "Resources"), " / ", r.namespace, " / ", r.name),
    el("div", { class: "head" }, el("div", { class: "title" }, el("h1", {}, r.displayName || r.name), pill(r.health)), tools().length > 0 ? el("div", { class: "tools" }, tools()) : null),
    r.identifier ? el("p", { class: "lead" }, "Tokens for it have the audience ", el("code", {}, r.identifier)) : null,
    r.health === "Ready" && r.state.length === 1 ? null : el("div", { class: "body" }, r.state.map((line) => el("div", { class: "note warn" }, el("span", {}, line.text), next(line.next)))),
    el("div", { class: "body stack" },
      panel("May be called by", null, r.grants.length === 0 ? el("p", { class: "quiet" }, "No client: nothing is granted.") : table("Who may call the API", [
        { name: "Who", first: true, cell: (g) => el("span", {}, g.callers) },
        { name: "Scopes", cell: (g) => el("span", {}, codes(g.scopes)) },
        ...(r.may.grant ? [{ name: "", label: "Actions", cell: (g) => el("span", { class: "tools" }, g.namespaces.map((n) => button(g.namespaces.length > 1 ? "Take away from " + n + "…" : "Take away…", () => ungrant(n, g.scopes),
          { class: "mini", "data-key": "ungrant " + n, "aria-label": "Take away from " + n + "…" }))) }] : []),
      ], r.grants)),
      panel("Scopes", null, r.scopes.length === 0 ? el("p", { class: "quiet" }, "None, so no client can be granted anything.") : table("Scopes of the API", [
        { name: "Scope", first: true, cell: (s) => el("code", {}, s.name) },
        { name: "Meaning", cell: (s) => el("span", {}, s.description ?? "") },
        { name: "Clients that have it", cell: (s) => String(s.clients ?? 0) },
      ], r.scopes)),
      el("p", { class: "quiet small" }, "Declared ", time(r.created), ".")),
    el("details", { class: "panel body", "data-key": "yaml" }, el("summary", {}, "YAML"), copyable(r.yaml, "YAML")));
  const load = async (options) => {
    r = await get(object("resources", namespace, name), { signal: page.signal, ...options });
    if (page.alive) draw();
  };
  const own = (change) => change.kind === "resources" && change.name === name && change.namespace === namespace;
  page.reloadOn({ about: own, own, name }, load);
  await load();
}
