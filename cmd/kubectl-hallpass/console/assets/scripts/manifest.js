// The manifest that a form makes, beside the form.

import { copyable, el } from "./dom.js";
import { post } from "./api.js";

// manifest makes the panel. Refresh asks the console for the manifest of what is in the form.
export function manifest(from, values, noun) {
  const content = el("div", {});
  const say = (sentence) => content.replaceChildren(el("p", { class: "quiet" }, sentence));
  say(`This is what is applied. Give the ${noun} a name to see it.`);
  let waiting;
  const refresh = () => {
    clearTimeout(waiting);
    waiting = setTimeout(async () => {
      try {
        const { yaml } = await post(from, values());
        content.replaceChildren(el("p", { class: "quiet" }, `This is what is applied. For a repository that Argo CD or Flux applies, copy it and do not create the ${noun} here.`), el("div", { class: "body" }, copyable(yaml, "Manifest")));
      } catch (problem) {
        say(problem.sentence ?? String(problem));
      }
    }, 250);
  };
  return { panel: el("div", { class: "panel" }, el("h2", {}, "Manifest"), content), refresh };
}
