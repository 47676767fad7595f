// The overview: what there is, what needs attention, and whether the installation is well.

import { el, empty, next, panel, path, state } from "./dom.js";
import { get, inNamespace } from "./api.js";

const titles = {
  NotReady: "Not ready", StaleUse: "Something old is still used", Refused: "Refused lately", MissingGrant: "Scopes that are missing",
  TokenEnds: "Tokens that expire soon", RotationDue: "Rotations", Unused: "Unused for 90 days",
};

const link = (item) => item.kind === "tokens" ? path("tokens") + "?q=" + encodeURIComponent(item.name) : path(item.kind, item.namespace, item.name);
const nouns = { clients: "client", tokens: "token", resources: "resource" };

function topic(page, t) {
  const more = t.count - t.items.length;
  return panel(`${titles[t.topic] ?? t.topic} (${t.count})`, null,
    el("ul", { class: "items" }, t.items.map((item) => el("li", {},
      el("span", { class: "where" }, el("a", { href: link(item), "data-key": [t.topic, item.kind, item.namespace, item.name, item.sentence].join(" ") }, item.name),
        el("span", { class: "quiet small" }, " " + nouns[item.kind] + (page.namespace ? "" : " in " + item.namespace))),
      el("span", { class: "step" }, el("span", {}, item.sentence), next(item.do))))),
    more > 0 ? el("p", { class: "quiet" }, `And ${more} more.`) : null);
}

const words = { ok: ["good", "OK"], problem: ["bad", "Problem"], unknown: ["", "Unknown"] };

function installation(findings) {
  return panel("Installation", null, el("ul", { class: "items" }, findings.map((f) => el("li", {},
    el("span", { class: "where" }, state(...words[f.state]), " ", f.check), el("span", { class: "step" }, el("span", {}, f.sentence), next(f.do))))));
}

const card = (name, count, one, many) => el("a", { class: "count-card", href: path(name), "data-key": "card " + name }, el("b", {}, count.toLocaleString("en")), el("span", {}, count === 1 ? one : many));

export async function overview(page) {
  const where = page.namespace ? `Namespace ${page.namespace}` : "All namespaces";
  let findings = null;
  let content = null;
  const draw = () => page.draw("Overview", el("h1", {}, "Overview"), el("p", { class: "lead" }, where), el("div", { class: "body stack" },
    el("div", { class: "counts" }, card("clients", content.clients, "client", "clients"), card("tokens", content.tokens, "token handed out", "tokens handed out"), card("resources", content.resources, "resource", "resources")),
    content.topics.length > 0 ? content.topics.map((t) => topic(page, t))
      : el("div", { class: "panel" }, empty("Nothing needs attention", "Everything is ready, granted and used. This page changes by itself when that changes.")),
    findings ? installation(findings) : null));
  const load = async (options) => {
    content = await get(inNamespace("/api/overview", page.namespace), { signal: page.signal, ...options });
    draw();
  };
  page.reloadOn({ about: () => true, after: 2000 }, load);
  await load();
  findings = await get("/api/installation", { signal: page.signal, background: true }).catch(() => null);
  if (page.alive) draw();
}
