// The frame of the console: the link, the pages and their addresses, what is live, and the idle
// end.

import { announce, button, dialog, el, path, unsaved } from "./dom.js";
import { enter, get, gone, inNamespace, lines, post, signedIn } from "./api.js";
import { overview } from "./overview.js";
import { clients } from "./clients.js";
import { client } from "./client.js";
import { revealed } from "./secret.js";
import { newClient } from "./newclient.js";
import { newResource } from "./newresource.js";
import { tokens } from "./tokens.js";
import { resource, resources } from "./resources.js";
import { issuer, issuers } from "./issuers.js";
import { keys } from "./keys.js";
import { events } from "./events.js";

const main = document.getElementById("main");
const pages = [["", "Overview", overview], ["clients", "Clients", clients], ["tokens", "Tokens", tokens], ["resources", "Resources", resources], ["issuers", "Issuers", issuers], ["keys", "Keys", keys], ["events", "Events", events]];

// session is what the server returned first; namespace is what the pages are about, empty
// for all.
const session = { namespace: "" };
let current = { stop() {}, changed() {}, returned() {} };
let drawn = "";

// context is what a page gets: where it is, and how it draws itself and watches.
function context(address) {
  const abort = new AbortController();
  const listeners = [];
  const returns = [];
  const self = {
    session, address, signal: abort.signal, namespace: session.namespace, alive: true,
    // draw puts the page there. Drawn again, it keeps the focus and what is open.
    draw(title, ...content) {
      if (!self.alive) return;
      document.title = title + " · Hallpass console";
      const focused = main.contains(document.activeElement) ? document.activeElement.dataset.key : null;
      const opened = [...main.querySelectorAll("details[open][data-key]")].map((d) => d.dataset.key);
      main.replaceChildren(...content.flat(Infinity).filter(Boolean));
      for (const key of opened) main.querySelector(`details[data-key="${CSS.escape(key)}"]`)?.setAttribute("open", "");
      if (drawn !== address.raw) {
        drawn = address.raw;
        scrollTo(0, 0);
        const heading = main.querySelector("h1");
        heading?.setAttribute("tabindex", "-1");
        if (self.moved) heading?.focus();
      } else if (focused) {
        main.querySelector(`[data-key="${CSS.escape(focused)}"]`)?.focus({ preventScroll: true });
      }
    },
    // failed shows why a page cannot be shown.
    failed(title, problem) {
      if (problem.name === "AbortError") return;
      const again = problem.status === 0 ? null : button("Try again", () => show());
      const list = address.parts.length > 1 && pages.find(([name]) => name === address.parts[0]);
      self.draw(title, el("h1", {}, title), el("div", { class: "body panel" }, el("p", { class: "note bad" }, problem.sentence ?? String(problem)), again ? el("p", {}, again) : null,
        list ? el("p", {}, el("a", { href: path(list[0]), "data-key": "list" }, "Go to " + list[1].toLowerCase())) : null));
    },
    onChange(listener) { listeners.push(listener); },
    // reloadOn loads the page again, some time after the last change that it is about. It waits
    // while a secret is shown or a dialog is open, unless its own object, of a name, was deleted.
    reloadOn({ about, own = () => false, name, after = 500 }, load) {
      let waiting;
      let deleted = false;
      const later = () => {
        clearTimeout(waiting);
        waiting = setTimeout(() => {
          if (!self.alive) return;
          if (!deleted && (revealed.size > 0 || document.querySelector("dialog[open]"))) {
            later();
            return;
          }
          deleted = false;
          load({ background: true }).catch((failure) => { if (failure.status === 404 && name) self.failed(name, failure); });
        }, after);
      };
      self.onChange((change) => {
        if (!about(change) && !own(change)) return;
        deleted ||= Boolean(change.deleted) && own(change);
        later();
      });
      self.onReturn(later);
    },
    // onReturn calls a listener when the page is visible again: changes meanwhile were not passed.
    onReturn(listener) { returns.push(listener); },
    returned() { for (const listener of returns) listener(); },
    restart() { if (self.alive) show(); },
    changed(change) { for (const listener of listeners) listener(change); },
    stop() { self.alive = false; abort.abort(); },
  };
  return self;
}

function read() {
  const raw = location.hash.startsWith("#/") ? location.hash.slice(2) : "";
  const [where, query] = raw.split("?");
  let parts;
  try {
    parts = where.split("/").map(decodeURIComponent);
  } catch {
    parts = ["not-found"];
  }
  return { raw, parts, query: new URLSearchParams(query) };
}

let shownBefore = false;

async function show() {
  current.stop();
  const address = read();
  const [first, ...rest] = address.parts;
  const page = context(address);
  page.moved = shownBefore;
  shownBefore = true;
  current = page;
  for (const link of document.querySelectorAll("#pages a")) {
    if (link.dataset.page === ({ "new-client": "clients", "new-resource": "resources" }[first] ?? first)) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  const routes = { "clients/2": client, "resources/2": resource, "issuers/1": issuer, "new-client/0": newClient, "new-resource/0": newResource };
  const found = routes[first + "/" + rest.length] ?? (rest.length === 0 ? pages.find(([name]) => name === first)?.[2] : null);
  if (!found) {
    page.draw("Not found", el("h1", {}, "There is no such page"), el("p", { class: "body" }, el("a", { href: path("") }, "Go to the overview")));
    return;
  }
  // The object of the page may be of another namespace than the chosen one.
  if (session.namespace && rest.length === 2 && rest[0] !== session.namespace) follow(rest[0], page.signal);
  try {
    await found(page, ...rest);
  } catch (problem) {
    page.failed(pages.find(([name]) => name === first)?.[1] ?? rest[1] ?? "Hallpass", problem);
  }
}

function frame() {
  document.getElementById("top").hidden = false;
  document.getElementById("pages").replaceChildren(...pages.map(([name, title]) => el("a", { href: path(name), "data-page": name }, title)));
  const who = [["context", session.context], ["user", session.user], ["namespace", session.namespace || "all namespaces"]];
  document.getElementById("who").replaceChildren(
    ...who.map(([what, name]) => el("span", {}, what + " ", el("b", { id: "who-" + what }, name))),
    session.readOnly ? el("span", {}, el("b", {}, "read-only"), ": nothing can be changed here") : "");
  document.getElementById("scope").replaceChildren(...scope());
}

// scope chooses the namespace: from those that there are, or by its name if they cannot be listed.
function scope() {
  const choose = async (namespace, control) => {
    if (unsaved() && !await leaves()) {
      control.value = session.namespace;
      return;
    }
    session.namespace = namespace;
    sessionStorage.setItem("hallpass-console-namespace", namespace);
    document.getElementById("who-namespace").textContent = namespace || "all namespaces";
    watch();
    const { parts } = read();
    if (parts.length > 1) location.hash = path(parts[0]);
    else show();
  };
  const label = el("label", { for: "namespace" }, "Namespace");
  if (session.namespaces.length > 0) {
    const options = session.namespaces.map((name) => el("option", { value: name }, name));
    if (!session.namespaces.includes(session.namespace) && session.namespace) options.unshift(el("option", { value: session.namespace }, session.namespace));
    if (session.mayAll) options.unshift(el("option", { value: "" }, "All namespaces"));
    const select = el("select", { id: "namespace", onchange: () => choose(select.value, select) }, options);
    select.value = session.namespace;
    return [label, select];
  }
  const input = el("input", { id: "namespace", value: session.namespace, onchange: () => input.value && choose(input.value.trim(), input) });
  return [label, input];
}

// watch passes the changes in the namespace to the page.
let watching = new AbortController();
function watch() {
  watching.abort();
  watching = new AbortController();
  follow(session.namespace, watching.signal);
}

// follow passes the changes in a namespace to the page, until a signal. A browser opens six
// connections to an address for all its tabs together, so a hidden one gives its connection back.
async function follow(namespace, signal) {
  while (!signal.aborted) {
    if (document.hidden) {
      await new Promise((resolve) => document.addEventListener("visibilitychange", resolve, { once: true }));
      if (!signal.aborted && !document.hidden) current.returned();
      continue;
    }
    const stream = new AbortController();
    const end = () => stream.abort();
    document.addEventListener("visibilitychange", end);
    signal.addEventListener("abort", end);
    try {
      await lines(inNamespace("/api/watch", namespace), (change) => current.changed(change), { background: true, signal: stream.signal });
    } catch (problem) {
      if (problem.status === 0 || problem.status === 401) return;
    } finally {
      document.removeEventListener("visibilitychange", end);
      signal.removeEventListener("abort", end);
    }
    if (!stream.signal.aborted) await new Promise((resolve) => setTimeout(resolve, 5000));
  }
}

// The idle end. The page asks how long is left, without putting the end off; its user does, by
// using it. Typing counts, so that no form is lost while it is filled in.
const warnBefore = 120;
const notices = document.getElementById("notices");
let ended = false;
let typedAt = 0;
let putOff = 0; // counts how often the end was put off: an answer from before names an earlier end

async function stay() {
  await post("/api/stay").catch(() => {});
  putOff++;
  notices.replaceChildren();
}

async function checkEnd() {
  if (ended) return;
  const before = putOff;
  try {
    const { endsIn } = await get("/api/session", { background: true });
    if (putOff !== before) return;
    if (endsIn > warnBefore) notices.replaceChildren();
    else if (!notices.firstChild) warn(endsIn);
  } catch (problem) {
    if (problem.status === 401) signedOut(problem.sentence);
  }
}

function warn(left) {
  const form = unsaved() ? " A form on this page has entries that were not sent; they would be lost." : "";
  notices.replaceChildren(el("div", { role: "alert" },
    el("span", {}, "The console was not used for a while. It ends in about " + Math.max(1, Math.round(left / 60)) + " min." + form), button("Stay", stay, { class: "main" })));
}

addEventListener("input", () => {
  if (Date.now() - typedAt < 60_000) return;
  typedAt = Date.now();
  post("/api/stay").catch(() => {});
});
addEventListener("hallpass:gone", () => {
  if (ended) return;
  ended = true;
  const form = unsaved() ? " Copy what you have typed before you close this page." : "";
  notices.replaceChildren(el("div", { role: "alert" }, el("span", {}, gone + "." + form)));
});
addEventListener("beforeunload", (event) => { if (unsaved()) event.preventDefault(); });

// leaves asks whether a form with entries may be left.
async function leaves() {
  const leave = await dialog("Leave this page?", (close) => [
    el("p", {}, "The form has entries that were not sent. They are lost when you leave."),
    el("div", { class: "buttons body" }, button("Leave", () => close(true), { class: "danger" }), button("Stay here", () => close(false))),
  ]);
  if (leave) for (const form of document.querySelectorAll("form[data-dirty]")) delete form.dataset.dirty;
  return Boolean(leave);
}

// A form with entries is not left by mistake.
let here = location.hash;
addEventListener("hashchange", async () => {
  if (unsaved()) {
    const there = location.hash;
    history.replaceState(null, "", "/" + here);
    if (await leaves()) location.hash = there;
    return;
  }
  here = location.hash;
  document.querySelector("dialog[open]")?.close();
  show();
});

function signedOut(sentence) {
  document.getElementById("top").hidden = true;
  watching.abort();
  ended = true;
  main.replaceChildren(el("h1", { tabindex: "-1" }, "This page is not open"), el("div", { class: "body panel" }, el("p", { class: "note warn" }, sentence),
    el("p", { class: "quiet" }, "The console runs on your machine, with the rights of your kubeconfig. Each page is opened from its terminal: press Enter there.")));
}

document.getElementById("skip").addEventListener("click", (event) => {
  event.preventDefault();
  main.focus();
});

async function start() {
  try {
    await enter();
    if (!signedIn()) {
      signedOut("This address opens nothing by itself.");
      return;
    }
    Object.assign(session, await get("/api/session"));
  } catch (problem) {
    signedOut(problem.sentence ?? String(problem));
    return;
  }
  session.namespace = sessionStorage.getItem("hallpass-console-namespace") ?? (session.allNamespaces ? "" : session.namespace);
  here = location.hash;
  frame();
  setInterval(checkEnd, 20_000);
  watch();
  await show();
}

addEventListener("unhandledrejection", (event) => { if (event.reason?.sentence) announce(event.reason.sentence); });
start();
