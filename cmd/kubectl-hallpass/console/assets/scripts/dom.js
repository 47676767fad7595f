// Elements, and nothing that turns text into markup: every text is a text node.

// el makes an element. Attributes that are null, undefined or false are left out; on… are
// listeners.
export function el(tag, attributes, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "value" || name === "checked") element[name] = value;
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  element.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false && child !== ""));
  return element;
}

// path makes a link inside the console.
export const path = (...parts) => "#/" + parts.map(encodeURIComponent).join("/");

// contact is a link to a person where that is safe, or else the text.
export function contact(text) {
  if (/^(https?|mailto):/i.test(text)) return el("a", { href: text, rel: "noreferrer" }, text.replace(/^mailto:/i, ""));
  if (/^[^\s:<>"]+@[^\s:<>"]+$/.test(text)) return el("a", { href: "mailto:" + text }, text);
  return text;
}

const relative = new Intl.RelativeTimeFormat("en", { numeric: "auto" });
const exact = new Intl.DateTimeFormat("en", { dateStyle: "medium", timeStyle: "short", timeZone: "UTC" });
const spans = [[60, "second", 1], [3600, "minute", 60], [86400, "hour", 3600], [86400 * 60, "day", 86400], [86400 * 730, "month", 86400 * 30.44], [Infinity, "year", 86400 * 365.25]];

function ago(instant) {
  const seconds = (instant - Date.now()) / 1000;
  if (Math.abs(seconds) < 10) return "just now";
  const [, unit, size] = spans.find(([limit]) => Math.abs(seconds) < limit);
  return relative.format(Math.trunc(seconds / size), unit);
}

// time shows an instant relative to now, with the date in its title; none is shown as otherwise.
export function time(text, otherwise = "never") {
  if (!text) return el("span", { class: "quiet" }, otherwise);
  const instant = new Date(text);
  return el("time", { datetime: text, title: exact.format(instant) + " UTC" }, ago(instant));
}

// date is an instant as a date and a time.
export const date = (text) => exact.format(new Date(text)) + " UTC";

setInterval(() => {
  for (const shown of document.querySelectorAll("time[datetime]")) shown.textContent = ago(new Date(shown.dateTime));
}, 30_000);

// pill is a state: its word is always there, the colour is not needed to read it.
export function pill(health) {
  const kind = { Ready: "good", Active: "good", Pending: "", Deleting: "", Suspended: "warn", Progressing: "", Published: "", Retired: "" }[health];
  return el("span", { class: "pill " + (kind ?? "bad") }, health);
}

// state is a state of something else: good, warn or bad.
export const state = (kind, text) => el("span", { class: "pill " + kind }, text);

// table makes a table that becomes a list on small screens. A column is {name, cell, first, nowrap,
// sort}. The roles keep what the display of a list would hide from screen readers.
export function table(caption, columns, rows, sorted) {
  const heads = columns.map((c) => el("th", { scope: "col", role: "columnheader", "aria-sort": sorted?.by === c.sort && c.sort ? (sorted.down ? "descending" : "ascending") : null },
    c.sort ? el("button", { type: "button", "data-key": "sort-" + c.sort, onclick: () => sorted.change(c.sort) }, c.name) : c.name || el("span", { class: "unseen" }, c.label ?? "Actions")));
  return el("table", { role: "table" },
    el("caption", { class: "unseen" }, caption),
    el("thead", { role: "rowgroup" }, el("tr", { role: "row" }, heads)),
    el("tbody", { role: "rowgroup" }, rows.map((row) => el("tr", { role: "row" }, columns.map((c) =>
      el("td", { role: "cell", "data-label": c.name, class: [c.first && "first", c.nowrap && "nowrap"].filter(Boolean).join(" ") || null }, c.cell(row)))))));
}

// panel is a section with a heading.
export function panel(title, tools, ...children) {
  const id = "panel-" + title.toLowerCase().replace(/[^a-z]+/g, "-");
  return el("section", { class: "panel", "aria-labelledby": id }, el("header", {}, el("h2", { id }, title), tools?.length ? el("span", { class: "tools" }, tools) : null), ...children);
}

// empty is what stands where nothing is, with what to do.
export const empty = (title, text, ...actions) => el("div", { class: "empty" }, el("h2", {}, title), el("p", {}, text), ...actions);

// button is a button with a key, by which the focus finds it again after the page was drawn anew.
export const button = (text, onclick, attributes = {}) => el("button", { type: "button", onclick, "data-key": text, ...attributes }, text);

const status = document.getElementById("status");
let clearing;

// announce shows a sentence for some seconds, and screen readers read it.
export function announce(sentence) {
  clearTimeout(clearing);
  status.textContent = "";
  requestAnimationFrame(() => { status.textContent = sentence; });
  clearing = setTimeout(() => { status.textContent = ""; }, 8000);
}

// copy puts a text, or the promise of one, on the clipboard, from which it is never drawn.
export async function copy(text, what) {
  try {
    if (window.ClipboardItem) {
      const blob = Promise.resolve(text).then((value) => new Blob([value], { type: "text/plain" }));
      await navigator.clipboard.write([new ClipboardItem({ "text/plain": blob })]);
    } else {
      await navigator.clipboard.writeText(await text);
    }
    announce(what + " copied.");
  } catch (problem) {
    announce(problem.sentence ?? "The browser does not allow copying. Show the value and copy it by hand.");
  }
}

// copyable is a text to be copied as a whole, such as a command.
export function copyable(text, what) {
  return el("div", { class: "copyable" }, el("pre", { tabindex: "0", role: "group", "aria-label": what }, text), button("Copy", () => copy(text, what), { class: "mini", "data-key": "copy " + what, "aria-label": "Copy " + what }));
}

// next is a next step; a command can be copied.
export function next(text) {
  if (!text) return null;
  const at = text.indexOf("kubectl ");
  if (at < 0) return el("span", { class: "quiet" }, text);
  const command = text.slice(at).replace(/\.$/, "");
  return el("span", { class: "step" }, el("span", { class: "quiet" }, text.slice(0, at), el("code", {}, command)), button("Copy command", () => copy(command, "Command"), { class: "mini", "data-key": "copy " + command }));
}

// dialog asks for something. Render gets the function that closes it, and returns what is in it.
// The focus returns to where it was.
export function dialog(title, render) {
  const opener = document.activeElement;
  const key = opener?.dataset?.key;
  const box = el("dialog", { "aria-labelledby": "dialog-title" });
  return new Promise((resolve) => {
    let result = null;
    const close = (value) => { result = value ?? null; box.close(); };
    box.append(el("h2", { id: "dialog-title" }, title), ...[render(close)].flat());
    box.addEventListener("close", () => {
      box.remove();
      const target = opener?.isConnected ? opener : key && document.querySelector(`main [data-key="${CSS.escape(key)}"]`);
      (target || document.querySelector("main h1") || document.getElementById("main")).focus();
      resolve(result);
    });
    document.body.append(box);
    box.showModal();
  });
}

// form is a form whose changes are warned of before they are lost. Submit returns a promise; its
// failure is shown beside the buttons.
export function form(submitText, submit, fields, { danger, cancel, attributes = {} } = {}) {
  const problem = el("p", { class: "error", role: "alert" });
  const send = el("button", { type: "submit", class: danger ? "danger" : "main" }, submitText);
  const element = el("form", {
    novalidate: true, ...attributes,
    oninput: () => { element.dataset.dirty = "yes"; },
    onsubmit: async (event) => {
      event.preventDefault();
      problem.textContent = "";
      const invalid = element.querySelector(":invalid:not(fieldset)");
      if (invalid) {
        problem.textContent = (invalid.labels?.[0]?.textContent ?? "A field") + ": " + invalid.validationMessage;
        invalid.focus();
        return;
      }
      send.disabled = true;
      try {
        await submit(element);
        delete element.dataset.dirty;
      } catch (failure) {
        problem.textContent = failure.sentence ?? String(failure);
      } finally {
        send.disabled = false;
      }
    },
  }, fields, problem, el("div", { class: "buttons" }, send, cancel ? button("Cancel", () => cancel()) : null));
  return element;
}

// removal asks for the name of what is deleted before it is. Send deletes it, with what was typed.
// The answer is true if it was deleted.
export const removal = (name, text, send, { title = "Delete " + name, submit = "Delete", done = name + " is deleted." } = {}) => dialog(title, (close) => {
  const typed = el("input", { autocomplete: "off", spellcheck: "false" });
  return [el("p", {}, text), el("div", { class: "body" }, form(submit, async () => {
    const sentence = await send(typed.value.trim());
    close(true);
    announce(sentence ?? done);
  }, [field(`Type the name ${name}`, typed)], { danger: true, cancel: close }))];
});

let fieldCount = 0;

// field is a control with its label and a hint.
export function field(label, control, hint) {
  const id = "field-" + ++fieldCount;
  control.id = id;
  if (hint) control.setAttribute("aria-describedby", id + "-hint");
  return el("div", { class: "field" }, el("label", { for: id }, label), hint ? el("span", { class: "hint", id: id + "-hint" }, hint) : null, control);
}

// rows are rows of fields, to which the button of the name addText adds another. Columns are the
// labels of the fields with their placeholders, and begin the values of the first rows.
export function rows(legend, columns, addText, begin = []) {
  const all = el("div", { class: "stack" });
  const add = (values, focus) => {
    const inputs = columns.map(([, placeholder], i) => el("input", { autocomplete: "off", spellcheck: "false", placeholder, value: values[i] ?? "" }));
    all.append(el("div", { class: "pair", "data-row": "" }, columns.map(([label], i) => field(label, inputs[i]))));
    if (focus) inputs[0].focus();
  };
  for (const values of begin.length > 0 ? begin : [[]]) add(values, false);
  return {
    element: el("fieldset", {}, el("legend", {}, legend), all, el("div", {}, button(addText, () => add([], true), { class: "mini" }))),
    values: () => [...all.querySelectorAll("[data-row]")].map((row) => [...row.querySelectorAll("input")].map((input) => input.value.trim())).filter((values) => values.some(Boolean)),
  };
}

// choice is a checkbox or a radio button with its label beside it.
export function choice(control, label, hint) {
  const id = "field-" + ++fieldCount;
  control.id = id;
  if (hint) control.setAttribute("aria-describedby", id + "-hint");
  return el("div", { class: "choice" }, control, el("div", {}, el("label", { for: id }, label), hint ? el("div", { class: "hint", id: id + "-hint" }, hint) : null));
}

// unsaved reports whether a form has changes that were not sent.
export const unsaved = () => document.querySelector("form[data-dirty]") !== null;

// words are the items of a list that was typed with commas or spaces.
export const words = (text) => text.split(/[\s,]+/).filter(Boolean);
