// The clients of a namespace, or of all.

import { el, empty, path, pill, time } from "./dom.js";
import { get, inNamespace, lines } from "./api.js";
import { list } from "./list.js";

export async function clients(page) {
  let may = {};
  const create = () => may.create ? el("a", { class: "button main", href: path("new-client"), "data-key": "new" }, "New client") : null;
  const columns = [
    { name: "Name", first: true, sort: "name", cell: (c) => [el("a", { href: path("clients", c.namespace, c.name), "data-key": c.namespace + "/" + c.name }, c.displayName || c.name),
      el("span", { class: "under" }, page.namespace ? (c.displayName ? c.name : "") : c.namespace + " / " + c.name)] },
    { name: "Client ID", cell: (c) => el("code", { class: "id" }, c.id) },
    { name: "State", cell: (c) => el("span", {}, pill(c.health)) },
    { name: "Scopes granted", cell: (c) => c.asked === 0 ? el("span", { class: "quiet" }, "asks for none") : el("span", { class: c.granted < c.asked ? "warn-text" : null }, `${c.granted} of ${c.asked}`) },
    { name: "Last used", sort: "used", nowrap: true, cell: (c) => time(c.lastUsed) },
    { name: "Created", sort: "created", nowrap: true, cell: (c) => time(c.created) },
  ];
  const shown = list(page, {
    noun: "client", columns, first: "name",
    search: (c) => [c.name, c.id, c.displayName, c.namespace, c.health].join(" "),
    order: { name: (c) => (c.displayName || c.name).toLowerCase(), used: (c) => c.lastUsed ?? "", created: (c) => c.created },
    filters: {
      attention: ["Not ready, or scopes missing", (c) => !["Ready", "Suspended"].includes(c.health) || c.granted < c.asked],
      suspended: ["Suspended", (c) => c.health === "Suspended"],
      unused: ["Unused for 90 days", (c) => c.unused],
    },
    none: () => may.create
      ? empty("No clients yet", "A client is a piece of software that calls an API. Register one, and Hallpass writes its credentials into a Secret.", create())
      : empty("No clients here", "There are none in this namespace that you may see. Choose another namespace above, or ask its editors for one."),
  });
  const tools = el("span", {});
  page.draw("Clients", el("div", { class: "head" }, el("h1", {}, "Clients"), tools), shown.controls, shown.results);

  const byKey = new Map();
  const key = (c) => c.namespace + "/" + c.name;
  let scheduled = false;
  const later = () => {
    if (scheduled) return;
    scheduled = true;
    setTimeout(() => { scheduled = false; if (page.alive) { shown.rows = [...byKey.values()]; shown.draw(); } }, 100);
  };
  page.onChange((change) => {
    if (change.kind !== "clients" || !(change.row || change.deleted)) return;
    if (change.deleted) byKey.delete(key(change));
    else byKey.set(key(change), change.row);
    later();
  });
  page.onReturn(page.restart);
  const rights = get(inNamespace("/api/rights", page.namespace), { signal: page.signal }).then((answer) => {
    may = answer;
    if (page.namespace) tools.replaceChildren(...[create()].filter(Boolean));
    else may = { ...may, create: false };
    if (shown.complete) shown.draw();
  });
  await lines(inNamespace("/api/clients", page.namespace), (line) => {
    if (line.error) {
      shown.problem = line.error;
      shown.complete = true;
    } else {
      for (const row of line.rows) byKey.set(key(row), row);
      shown.complete = line.complete;
    }
    if (!page.alive) return;
    shown.rows = [...byKey.values()];
    shown.draw();
  }, { signal: page.signal });
  await rights;
}
