// The form for a new API, with the manifest that it applies beside it.

import { announce, el, empty, field, form, path, rows, words } from "./dom.js";
import { get, inNamespace, object, post } from "./api.js";
import { manifest } from "./manifest.js";

// scopeRows are the scopes of an API with their meanings.
export const scopeRows = (scopes) => {
  const typed = rows("Scopes", [["Scope", "orders.read"], ["Meaning", "Read orders"]], "Add another scope", scopes.map((s) => [s.name, s.description]));
  return { element: typed.element, values: () => typed.values().map(([name, description]) => ({ name, description })) };
};

export async function newResource(page) {
  const namespace = page.namespace;
  const crumb = el("p", { class: "crumb" }, el("a", { href: path("resources"), "data-key": "crumb" }, "Resources"), " / New API");
  if (!namespace) {
    page.draw("New API", crumb, el("h1", {}, "New API"), el("div", { class: "body panel" }, empty("Choose a namespace first", "An API belongs to one namespace. Choose it at the top of the page.")));
    return;
  }
  const may = await get(inNamespace("/api/rights", namespace), { signal: page.signal });
  const text = (attributes) => el("input", { autocomplete: "off", spellcheck: "false", ...attributes });
  const name = text({ required: true, pattern: "[a-z0-9]([\\-a-z0-9.]*[a-z0-9])?", maxlength: "63", "data-key": "name" });
  const displayName = text({ maxlength: "100", spellcheck: null });
  const identifier = text({ maxlength: "255", placeholder: "derived from namespace and name" });
  const scopes = scopeRows([]);
  const to = text({ placeholder: "shop, web" });
  const lifetime = text({ placeholder: "1h" });
  const fixed = text({ placeholder: "none" });
  const values = () => ({
    name: name.value.trim(), displayName: displayName.value.trim(), identifier: identifier.value.trim(), scopes: scopes.values(), to: words(to.value),
    tokenLifetime: lifetime.value.trim(), maxFixedTokenLifetime: fixed.value.trim(),
  });
  const preview = manifest(object("resources", namespace, "manifest"), values, "API");
  const entry = form("Create API", async (f) => {
    await post(object("resources", namespace), values());
    delete f.dataset.dirty;
    announce(name.value.trim() + " is declared.");
    location.hash = path("resources", namespace, name.value.trim());
  }, [
    el("div", { class: "pair" }, field("Name", name, "Lower-case letters, digits and hyphens, such as orders-api."), field("Display name", displayName, "Shown in lists.")),
    field("Identifier", identifier, "The aud of its tokens. Another one than the derived one needs an OAuth2Policy, and cannot be changed later."),
    scopes.element,
    field("Namespaces whose clients may have all scopes", to, "With commas between them. More can be granted later."),
    el("div", { class: "pair" }, field("Token lifetime", lifetime, "At most, from 1m to 1h."), field("Lifetime of tokens with a date", fixed, "At most, such as 720h.")),
  ]);
  entry.addEventListener("input", preview.refresh);
  page.draw("New API", crumb, el("h1", {}, "New API"), el("p", { class: "lead" }, "In namespace " + namespace),
    may.createResource ? el("div", { class: "body columns" }, el("div", { class: "panel" }, entry), preview.panel)
      : el("div", { class: "body panel" }, el("p", { class: "note" }, page.session.readOnly ? "The console was started with --read-only, so it creates nothing." : "You may not declare APIs in this namespace. The role edit of the namespace is enough; ask its administrator.")));
}
