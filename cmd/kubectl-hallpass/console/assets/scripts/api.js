// Requests to the server of the console. The token came with the link; it is in sessionStorage,
// which belongs to this address and port, and goes in a header. There is no cookie: cookies have no
// port.

const place = "hallpass-console-token";

// Problem is an answer that explains what to do.
export class Problem extends Error {
  constructor(status, sentence) {
    super(sentence);
    this.status = status;
    this.sentence = sentence;
  }
}

export const gone = "The console has ended. What you see is as it was. Start it again: kubectl hallpass console";

export const signedIn = () => sessionStorage.getItem(place) !== null;

// enter trades the code of a link, which is in the fragment, for the token. The code leaves the
// history of the browser first.
export async function enter() {
  const code = /^#code=(\w+)$/.exec(location.hash)?.[1];
  if (!code) return;
  history.replaceState(null, "", "/#/");
  const { token } = await request("POST", "/api/enter", { code });
  sessionStorage.setItem(place, token);
}

async function open(method, path, body, options = {}) {
  const headers = {};
  const token = sessionStorage.getItem(place);
  if (token) headers.Authorization = "Bearer " + token;
  if (body !== undefined) headers["Content-Type"] = "application/json";
  if (options.background) headers["Hallpass-Background"] = "1";
  let response;
  try {
    response = await fetch(path, { method, headers, body: body === undefined ? undefined : JSON.stringify(body), credentials: "omit", cache: "no-store", signal: options.signal });
  } catch (failure) {
    if (failure.name === "AbortError") throw failure;
    dispatchEvent(new CustomEvent("hallpass:gone"));
    throw new Problem(0, gone);
  }
  if (response.ok) return response;
  const { error } = await response.json().catch(() => ({}));
  throw new Problem(response.status, error ?? "The console has answered with the status " + response.status + ".");
}

async function request(method, path, body, options) {
  return (await open(method, path, body, options)).json();
}

export const get = (path, options) => request("GET", path, undefined, options);
export const post = (path, body = {}) => request("POST", path, body);

// lines hands over each line of a stream as it comes.
export async function lines(path, each, options) {
  const reader = (await open("GET", path, undefined, options)).body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    const parts = (rest + value).split("\n");
    rest = parts.pop();
    for (const part of parts) if (part) each(JSON.parse(part));
  }
}

// object is the path of an object.
export const object = (kind, namespace, name, verb) => ["/api", kind, namespace, name, verb].filter(Boolean).map((part, i) => (i ? encodeURIComponent(part) : part)).join("/");

export const inNamespace = (path, namespace) => path + "?namespace=" + encodeURIComponent(namespace);
