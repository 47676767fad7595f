// A list with a search, a filter, an order and pages. Fifty rows are in the page, however many
// there are, so that it stays quick and readable for screen readers.

import { button, el, field, table } from "./dom.js";

const perPage = 50;

// list makes the controls and the rows. Options are noun, columns, filters ({value: [title,
// test]}), search (the text of a row), order ({key: value of a row}) and first, the order at the
// beginning.
export function list(page, options) {
  const { query } = page.address;
  const chosen = { q: query.get("q") ?? "", show: query.get("show") ?? "all", by: query.get("by") ?? options.first, down: query.get("down") === "1", page: Number(query.get("page")) || 1 };
  const self = { rows: [], complete: false, problem: "" };
  const results = el("div", {});

  const remember = () => {
    const kept = new URLSearchParams();
    if (chosen.q) kept.set("q", chosen.q);
    if (chosen.show !== "all") kept.set("show", chosen.show);
    if (chosen.by !== options.first) kept.set("by", chosen.by);
    if (chosen.down) kept.set("down", "1");
    if (chosen.page > 1) kept.set("page", chosen.page);
    const text = kept.toString();
    history.replaceState(null, "", "/#/" + page.address.parts[0] + (text ? "?" + text : ""));
  };
  const change = (values) => {
    Object.assign(chosen, { page: 1 }, values);
    remember();
    self.draw();
  };

  const search = el("input", { type: "search", value: chosen.q, "data-key": "search", spellcheck: "false", oninput: () => change({ q: search.value }) });
  const select = options.filters ? el("select", { "data-key": "filter", onchange: () => change({ show: select.value }) },
    el("option", { value: "all" }, "All"), Object.entries(options.filters).map(([value, [title]]) => el("option", { value }, title))) : null;
  if (select) select.value = options.filters[chosen.show] ? chosen.show : "all";
  self.controls = el("div", { class: "filters", role: "search" }, field("Search " + options.noun + "s", search), select ? Object.assign(field("Show", select), { className: "field narrow" }) : null);
  self.results = results;

  const matching = () => {
    const parts = chosen.q.toLowerCase().split(/\s+/).filter(Boolean);
    const test = options.filters?.[chosen.show]?.[1] ?? (() => true);
    const of = options.order[chosen.by] ?? options.order[options.first];
    const found = self.rows.filter((row) => test(row) && parts.every((part) => options.search(row).toLowerCase().includes(part)));
    const order = new Map(found.map((row) => [row, of(row)]));
    found.sort((a, b) => (order.get(a) < order.get(b) ? -1 : order.get(a) > order.get(b) ? 1 : 0));
    return chosen.down ? found.reverse() : found;
  };

  self.draw = () => {
    const focused = results.contains(document.activeElement) ? document.activeElement.dataset.key : null;
    const found = matching();
    const last = Math.max(1, Math.ceil(found.length / perPage));
    chosen.page = Math.min(chosen.page, last);
    const begin = (chosen.page - 1) * perPage;
    const shown = found.slice(begin, begin + perPage);
    const turn = (to) => { change({ page: to }); results.scrollIntoView({ block: "start" }); };
    const many = found.length === 1 ? "1 " + options.noun : found.length.toLocaleString("en") + " " + options.noun + "s";
    const count = last > 1 ? `${(begin + 1).toLocaleString("en")} to ${(begin + shown.length).toLocaleString("en")} of ${many}` : many;
    const sorted = { by: chosen.by, down: chosen.down, change: (by) => change({ by, down: chosen.by === by && !chosen.down }) };
    const nothing = self.rows.length === 0 ? options.none() : el("div", { class: "empty" }, el("h2", {}, "Nothing matches"), el("p", {}, "Search for something else, or show all."),
      button("Show all", () => { search.value = ""; if (select) select.value = "all"; change({ q: "", show: "all" }); search.focus(); }));
    results.replaceChildren(
      shown.length > 0 ? el("div", { class: "panel list" }, table(options.noun + "s", options.columns, shown, sorted)) : self.complete && !self.problem ? el("div", { class: "panel" }, nothing) : "",
      el("div", { class: "pager" }, el("span", { class: "count", role: "status" }, self.complete ? (shown.length ? count : "") : `${count}, more are being read…`),
        last > 1 ? [button("Previous", () => turn(chosen.page - 1), { disabled: chosen.page === 1 }), el("span", {}, `Page ${chosen.page} of ${last}`), button("Next", () => turn(chosen.page + 1), { disabled: chosen.page === last })] : null),
      self.problem ? el("p", { class: "note bad", role: "alert" }, self.problem) : "");
    if (focused) results.querySelector(`[data-key="${CSS.escape(focused)}"]`)?.focus({ preventScroll: true });
  };
  return self;
}
