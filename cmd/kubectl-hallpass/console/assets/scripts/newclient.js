// The form for a new client, with the manifest that it applies beside it, and the credentials once
// after it.

import { announce, button, copy, el, empty, field, form, panel, path, rows, words } from "./dom.js";
import { get, inNamespace, object, post } from "./api.js";
import { authentication } from "./authentication.js";
import { manifest } from "./manifest.js";

// created waits for a client that was just registered, and shows its credentials.
async function created(page, namespace, name) {
  page.draw(name, el("h1", {}, "Registering " + name + "…"), el("p", { class: "lead" }, "Hallpass makes its credentials. This takes a second or two."));
  let c;
  for (let tries = 0; tries < 40 && page.alive; tries++) {
    c = await get(object("clients", namespace, name), { signal: page.signal });
    if (!["Pending", "Progressing"].includes(c.health)) break;
    await new Promise((resolve) => setTimeout(resolve, 500));
  }
  const go = el("a", { class: "button main", href: path("clients", namespace, name), "data-key": "go" }, "Go to the client");
  if (c.health !== "Ready") {
    page.draw(name, el("h1", {}, name + " is registered, and not ready yet"), el("div", { class: "body stack" }, c.state.map((line) => el("p", { class: "note warn" }, line.text)), el("p", {}, go)));
    return;
  }
  const facts = [];
  let note = "You may not read its Secret. Its software gets the credentials from there.";
  if (c.secret && c.may.secret || c.configMap && c.may.configMap) {
    const { entries, idEntry, caEntry } = await get(object("clients", namespace, name, "entries"), { signal: page.signal });
    for (const e of entries) {
      if (![idEntry, "client_secret", "token_url"].includes(e.name) && !e.masked || e.name === caEntry) continue;
      const value = e.masked ? (await post(object("clients", namespace, name, "reveal"), { entry: e.name })).value : e.text;
      facts.push(el("dt", {}, e.name), el("dd", {}, el("span", { class: "value" }, el("code", {}, value), button("Copy", () => copy(value, e.name), { class: "mini", "aria-label": "Copy " + e.name, "data-key": "copy " + e.name }))));
    }
    note = c.secret ? `They are in the Secret ${namespace}/${c.secret}, from which its software reads them. When you leave this page the secret is masked again.`
      : `They are in the ConfigMap ${namespace}/${c.configMap}. There is no secret: ` + (c.issuer ? `its workload sends a JWT of the issuer ${c.issuer}, with the client_id beside it.` : "its pods send the token of their service account.");
  }
  page.draw(name, el("p", { class: "crumb" }, el("a", { href: path("clients"), "data-key": "crumb" }, "Clients"), " / ", namespace, " / ", name),
    el("h1", { tabindex: "-1" }, name + " is registered"), el("div", { class: "body stack" }, panel("Credentials", null, facts.length > 0 ? el("dl", { class: "facts" }, facts) : null, el("p", { class: "quiet" }, note)), el("p", {}, go)));
  document.querySelector("main h1").focus();
  announce(name + " is registered.");
}

export async function newClient(page) {
  const namespace = page.namespace;
  const crumb = el("p", { class: "crumb" }, el("a", { href: path("clients"), "data-key": "crumb" }, "Clients"), " / New client");
  if (!namespace) {
    page.draw("New client", crumb, el("h1", {}, "New client"), el("div", { class: "body panel" }, empty("Choose a namespace first", "A client belongs to one namespace. Choose it at the top of the page.")));
    return;
  }
  const may = await get(inNamespace("/api/rights", namespace), { signal: page.signal });
  const text = (attributes) => el("input", { autocomplete: "off", spellcheck: "false", ...attributes });
  const name = text({ required: true, pattern: "[a-z0-9]([\\-a-z0-9.]*[a-z0-9])?", maxlength: "63", "data-key": "name" });
  const displayName = text({ maxlength: "100", spellcheck: null });
  const notes = el("textarea", {});
  const contacts = text({});
  const scopes = text({});
  const lifetime = text({ placeholder: "1h" });
  const rotate = text({ placeholder: "never" });
  const rotateField = field("Rotate the secret every", rotate, "Such as 720h.");
  const method = await authentication(page);
  const access = rows("APIs of others that it calls", [["Namespace and name of the API", "orders/orders-api"], ["Scopes there", "orders.read, orders.write"]], "Add another API");
  const values = () => ({
    name: name.value.trim(), displayName: displayName.value.trim(), notes: notes.value.trim(), contacts: words(contacts.value), scopes: words(scopes.value),
    access: access.values().map(([resource, wanted]) => resource + "=" + words(wanted).join(",")),
    ...method.values(), tokenLifetime: lifetime.value.trim(), rotate: rotate.value.trim(),
  });
  const preview = manifest(object("clients", namespace, "manifest"), values, "client");
  const entry = form("Create client", async (f) => {
    await post(object("clients", namespace), values());
    delete f.dataset.dirty;
    await created(page, namespace, name.value.trim());
  }, [
    el("div", { class: "pair" }, field("Name", name, "Lower-case letters, digits and hyphens, such as reporting."), field("Display name", displayName, "Shown in lists.")),
    field("Notes", notes, "What it does, and which team runs it."),
    field("Contacts", contacts, "E-mail addresses or URIs, with commas between them."),
    ...method.elements,
    field("Scopes for the APIs of its own namespace", scopes, "With commas between them, such as read, write."),
    access.element,
    el("div", { class: "pair" }, field("Token lifetime", lifetime, "From 1m to 1h."), rotateField),
  ]);
  method.onChoice((bySecret) => { rotateField.hidden = rotate.disabled = !bySecret; });
  entry.addEventListener("input", preview.refresh);
  page.draw("New client", crumb, el("h1", {}, "New client"), el("p", { class: "lead" }, "In namespace " + namespace),
    may.create ? el("div", { class: "body columns" }, el("div", { class: "panel" }, entry), preview.panel)
      : el("div", { class: "body panel" }, el("p", { class: "note" }, page.session.readOnly ? "The console was started with --read-only, so it creates nothing." : "You may not create clients in this namespace. The role edit of the namespace is enough; ask its administrator.")));
}
