// Events of the objects of Hallpass, as they happen.

import { el, empty, path, state, table, time } from "./dom.js";
import { get, inNamespace } from "./api.js";

const kinds = { OAuth2Client: "clients", OAuth2Resource: "resources" };

// eventTable is the table of events, with what they are about if that is not clear.
export function eventTable(events, withObject) {
  const about = (e) => kinds[e.kind] ? el("a", { href: path(kinds[e.kind], e.namespace, e.name), "data-key": "event " + e.kind + e.namespace + "/" + e.name }, e.name)
    : e.kind === "OAuth2Token" ? el("a", { href: path("tokens") + "?q=" + encodeURIComponent(e.name), "data-key": "event token " + e.name }, e.name) : e.name;
  return table("Events", [
    { name: "When", first: true, nowrap: true, cell: (e) => [time(e.last), e.count > 1 ? el("span", { class: "under" }, e.count + " times") : null] },
    ...(withObject ? [{ name: "About", cell: (e) => el("span", {}, about(e), el("span", { class: "under nowrap" }, e.kind)) }] : []),
    { name: "What", cell: (e) => el("span", {}, e.type === "Warning" ? [state("warn", e.reason), " "] : [el("b", {}, e.reason), " "], e.message) },
  ], events);
}

export async function events(page) {
  let all = [];
  const draw = () => page.draw("Events", el("h1", {}, "Events"), el("p", { class: "lead" }, "The newest is first, and new ones appear as they happen. Kubernetes deletes events after an hour, unless the cluster has another limit."),
    el("div", { class: "body panel list" }, all.length > 0 ? eventTable(all, true) : empty("No events", "Nothing has happened to the objects of Hallpass here lately.")));
  const same = (a, b) => a.kind === b.kind && a.namespace === b.namespace && a.name === b.name && a.reason === b.reason && a.message === b.message;
  page.onChange((change) => {
    if (!change.event || change.deleted) return;
    all = [change.event, ...all.filter((e) => !same(e, change.event))].slice(0, 500);
    if (page.alive) draw();
  });
  page.onReturn(page.restart);
  all = await get(inNamespace("/api/events", page.namespace), { signal: page.signal });
  draw();
}
