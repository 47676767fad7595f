// A secret on a page. While it is masked it is not in the page at all: it is fetched when it is to
// be shown or copied, and forgotten when it is hidden.

import { announce, button, copy, el } from "./dom.js";
import { post } from "./api.js";

const shownFor = 30_000;

// revealed are the secrets that are shown now: a page is not drawn anew meanwhile.
export const revealed = new Set();

// secret shows what is masked, with buttons to show, to keep shown and to copy. Fetch returns the
// value.
export function secret(what, masked, from, body) {
  const fetchValue = async () => (await post(from, body)).value;
  const text = el("code", {}, masked);
  const self = {};
  let timer;
  const hide = (say) => {
    clearTimeout(timer);
    revealed.delete(self);
    text.textContent = masked;
    toggle.setAttribute("aria-pressed", "false");
    if (keep === document.activeElement) toggle.focus();
    keep.hidden = true;
    if (say) announce(what + " hidden.");
  };
  const toggle = button("Show", async () => {
    if (revealed.has(self)) {
      hide(true);
      return;
    }
    let value;
    try {
      value = await fetchValue();
    } catch (problem) {
      announce(problem.sentence ?? String(problem));
      return;
    }
    revealed.add(self);
    text.textContent = value;
    toggle.setAttribute("aria-pressed", "true");
    keep.hidden = false;
    announce(what + " shown. It hides in 30 seconds.");
    timer = setTimeout(() => hide(true), shownFor);
  }, { class: "mini", "aria-pressed": "false", "aria-label": "Show " + what, "data-key": "show " + what });
  const keep = button("Keep shown", () => {
    clearTimeout(timer);
    keep.hidden = true;
    toggle.focus();
    announce(what + " stays shown until you hide it.");
  }, { class: "mini", hidden: true, "data-key": "keep " + what });
  const copyIt = button("Copy", () => copy(fetchValue(), what), { class: "mini", "aria-label": "Copy " + what, "data-key": "copy " + what });
  addEventListener("hashchange", () => hide(false), { once: true });
  return el("span", { class: "value" }, text, el("span", { class: "tools" }, toggle, keep, copyIt));
}
