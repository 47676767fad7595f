// How a new client authenticates: by a secret, by the service account of its pods, or by the JWT of
// a trusted issuer.

import { choice, el, field, rows } from "./dom.js";
import { get } from "./api.js";

const text = (attributes) => el("input", { autocomplete: "off", spellcheck: "false", ...attributes });

// issuerControl chooses an issuer from those that there are, or by its name if they cannot be
// listed.
async function issuerControl(page) {
  const all = page.session.mayIssuers ? await get("/api/issuers", { signal: page.signal, background: true }).catch(() => []) : [];
  if (all.length === 0) return text({ placeholder: "github", "data-key": "issuer" });
  return el("select", { "data-key": "issuer" }, all.map((i) => el("option", { value: i.name }, i.displayName ? `${i.name} (${i.displayName})` : i.name)));
}

// federated are the fields about the JWT.
async function federated(page) {
  const issuer = await issuerControl(page);
  const whole = el("input", { type: "radio", name: "subject", checked: true });
  const beginning = el("input", { type: "radio", name: "subject" });
  const any = el("input", { type: "radio", name: "subject" });
  const subject = text({ placeholder: "repo:acme/shop:environment:prod" });
  const subjectField = field("Subject (sub)", subject);
  const claims = rows("Claims that the JWT must have", [["Claim", "repository_id"], ["One of the values", "1316584243"]], "Add another claim");
  for (const radio of [whole, beginning, any]) {
    radio.addEventListener("change", () => {
      subjectField.hidden = subject.disabled = any.checked;
      subject.placeholder = whole.checked ? "repo:acme/shop:environment:prod" : "repo:acme/shop:";
    });
  }
  return {
    issuer,
    elements: [
      field("Trusted issuer", issuer, page.session.mayIssuers ? "It must let this namespace use it." : "Ask the administrator of the cluster for its name."),
      el("fieldset", {}, el("legend", {}, "The subject of its JWT"),
        choice(whole, "Is exactly", "One workload, such as one environment of one repository."),
        choice(beginning, "Begins with", "Several workloads. It ends in : or /, and needs a claim."),
        choice(any, "May be any", "The claims alone decide.")),
      subjectField, claims.element, el("p", { class: "hint" }, "Values with commas between them. Use claims that the owner of another workload cannot choose, such as the id of a repository."),
    ],
    values: () => ({
      issuer: issuer.value.trim(), subject: whole.checked ? subject.value.trim() : "", subjectPrefix: beginning.checked ? subject.value.trim() : "",
      claims: claims.values().map(([name, values]) => ({ name, values: values.split(",").map((value) => value.trim()).filter(Boolean) })),
    }),
  };
}

// authentication are the fields about how a client authenticates.
export async function authentication(page) {
  const bySecret = el("input", { type: "radio", name: "method", checked: true });
  const byAccount = el("input", { type: "radio", name: "method" });
  const byJWT = el("input", { type: "radio", name: "method" });
  const account = text({});
  const jwt = await federated(page);
  const ofAccount = field("Service account", account, "Its pods authenticate with their own token.");
  const ofJWT = el("fieldset", { class: "stack", disabled: true }, el("legend", { class: "unseen" }, "The JWT"), jwt.elements);
  ofAccount.hidden = account.disabled = ofJWT.hidden = true;
  const listeners = [];
  for (const radio of [bySecret, byAccount, byJWT]) {
    radio.addEventListener("change", () => {
      ofAccount.hidden = account.disabled = !byAccount.checked;
      ofJWT.hidden = ofJWT.disabled = !byJWT.checked;
      account.required = byAccount.checked;
      jwt.issuer.required = byJWT.checked;
      for (const listener of listeners) listener(bySecret.checked);
    });
  }
  return {
    elements: [
      el("fieldset", {}, el("legend", {}, "It authenticates by"),
        choice(bySecret, "A client secret", "Hallpass makes it and writes it into a Secret."),
        choice(byAccount, "The service account of its pods", "There is no secret to rotate or to leak."),
        choice(byJWT, "A JWT of a trusted issuer", "For jobs of a CI platform, and pods of another cluster. There is no secret either.")),
      ofAccount, ofJWT,
    ],
    onChoice(listener) { listeners.push(listener); },
    values: () => ({ serviceAccount: byAccount.checked ? account.value.trim() : "", federated: byJWT.checked ? jwt.values() : null }),
  };
}
