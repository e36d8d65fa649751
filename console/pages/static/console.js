// Makes pages live. Without it they work as well: every action is a form, every state an address.
"use strict";

const root = document.documentElement;
root.classList.add("scripted");
let source = null;

// Puts the parts of a fetched page in place of those of this one: everything with one of the ids.
async function swap(response, ids) {
  const fetched = new DOMParser().parseFromString(await response.text(), "text/html");
  for (const id of ids) {
    const old = document.getElementById(id), next = fetched.getElementById(id);
    if (!old || !next || old.isEqualNode(next)) continue;
    if (old.contains(document.activeElement) && /^(TEXTAREA|INPUT|SELECT)$/.test(document.activeElement.tagName)) continue;
    const focused = document.activeElement && old.contains(document.activeElement) ? document.activeElement.id : "";
    const scrolled = old.scrollTop;
    old.replaceWith(next);
    next.scrollTop = scrolled;
    if (focused) document.getElementById(focused)?.focus();
  }
  document.title = fetched.title || document.title;
}

// Something happened: what shows it is fetched again, at most once in a while.
const waiting = new Set();
let timer = 0;
function happened(kind) {
  for (const shown of document.querySelectorAll("[data-live]")) {
    if (shown.id && shown.dataset.live.split(" ").includes(kind)) waiting.add(shown.id);
  }
  if (waiting.size && !timer) timer = setTimeout(refresh, 150);
}
async function refresh() {
  const ids = [...waiting];
  waiting.clear();
  try {
    const response = await fetch(location.href, { headers: { "x-live": "1" } });
    if (response.ok && !response.redirected) await swap(response, ids);
  } finally {
    timer = 0;
    if (waiting.size) timer = setTimeout(refresh, 500);
  }
}
function listen() {
  const address = document.body.dataset.events;
  if (!address) return;
  source = new EventSource(address);
  for (const kind of ["holds", "results", "blocks", "cycles", "messages", "letters"]) {
    source.addEventListener(kind, () => happened(kind));
  }
}

// A form that changes something is sent in place: the next page takes the place of this one.
async function send(form, button) {
  const fields = new URLSearchParams(new FormData(form, button));
  for (const one of form.elements) if (one.tagName === "BUTTON") one.disabled = true;
  try {
    const response = await fetch(button?.getAttribute("formaction") || form.action, { method: "POST", body: fields });
    if (!(response.headers.get("content-type") || "").startsWith("text/html")) throw new Error("no page");
    form.closest("dialog")?.close();
    await swap(response, ["main", "rail"]);
    if (response.redirected) history.replaceState(null, "", response.url);
    document.querySelector("#main [autofocus]")?.focus();
  } catch {
    form.submit();
  }
}
document.addEventListener("submit", (event) => {
  const form = event.target;
  if (form.method !== "post" || form.dataset.whole !== undefined || event.defaultPrevented) return;
  event.preventDefault();
  send(form, event.submitter);
});

// A question that the page behind an address shows is asked above this page.
async function ask(id, address) {
  let dialog = document.getElementById(id);
  if (address) {
    try {
      const fetched = new DOMParser().parseFromString(await (await fetch(address)).text(), "text/html").getElementById(id);
      if (!fetched) throw new Error("no question");
      fetched.removeAttribute("open");
      dialog?.remove();
      dialog = document.getElementById("main").appendChild(fetched);
    } catch {
      location.href = address;
      return;
    }
  }
  dialog?.showModal();
}

document.addEventListener("click", (event) => {
  const copy = event.target.closest("[data-copy]"), opens = event.target.closest("[data-dialog]");
  if (copy) {
    event.preventDefault();
    navigator.clipboard?.writeText(copy.dataset.copy);
  } else if (opens) {
    event.preventDefault();
    ask(opens.dataset.dialog, opens.href);
  } else if (event.target.closest("[data-close]")) {
    const dialog = event.target.closest("dialog");
    if (!dialog.matches(":modal")) return;
    event.preventDefault();
    dialog.close();
  }
});
document.addEventListener("change", (event) => {
  if (event.target.dataset.submit !== undefined) event.target.form.requestSubmit();
});

// Keys: they never take a letter from somebody who types.
const ROWS = ".list a.row, .table a.whole";
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
  if (/^(INPUT|TEXTAREA|SELECT)$/.test(event.target.tagName)) {
    if (event.key === "Escape") event.target.blur();
    return;
  }
  const rows = [...document.querySelectorAll(ROWS)], at = rows.indexOf(document.activeElement);
  const current = at < 0 ? rows.findIndex((row) => row.hasAttribute("aria-current")) : at;
  if (event.key === "j") rows[Math.min(current + 1, rows.length - 1)]?.focus();
  else if (event.key === "k") rows[Math.max(current - 1, 0)]?.focus();
  else if (event.key === "/") document.querySelector("[type=search]")?.focus();
  else if (event.key === "?") document.getElementById("keys")?.showModal();
  else {
    const pressed = document.querySelector(`[data-key="${CSS.escape(event.key)}"]`);
    if (!pressed) return;
    pressed.click();
  }
  event.preventDefault();
});

listen();
