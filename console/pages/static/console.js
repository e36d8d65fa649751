// Makes pages live. Without it they work as well: every action is a form, every state an address.
"use strict";

const root = document.documentElement;
root.classList.add("scripted");
const ROWS = ".list a.row, .table a.whole";
const FIELDS = "input:not([type=hidden]), textarea, select";
const KINDS = ["holds", "results", "blocks", "cycles", "messages", "letters"];
const pause = (ms) => new Promise((done) => setTimeout(done, ms));

// What somebody has typed or chosen, and not sent yet.
function isTyped(field) {
  if (field.type === "checkbox" || field.type === "radio") return field.checked !== field.defaultChecked;
  if (field.options) return [...field.options].some((one) => one.selected !== one.defaultSelected);
  return field.value !== field.defaultValue;
}
function counterpart(field, within) {
  const action = field.form?.getAttribute("action");
  return [...within.querySelectorAll(FIELDS)].find((other) => field.name && other.name === field.name
    && other.type === field.type && other.form?.getAttribute("action") === action
    && (!/^(checkbox|radio)$/.test(field.type) || other.value === field.value));
}
function retype(field, other) {
  if (field.options) for (const one of other.options) one.selected = [...field.options].some((had) => had.selected && had.value === one.value);
  else if (/^(checkbox|radio)$/.test(field.type)) other.checked = field.checked;
  else if (field.type !== "file") other.value = field.value;
}

// Puts an element in place of another one. Keeps what was typed, the focus and how far it was scrolled. Where what was
// typed has no place any more, nothing changes, unless a form was sent. `done`: the form whose fields have done their work.
function replace(old, next, sent, done) {
  const pairs = [...old.querySelectorAll(FIELDS)].filter((one) => !(done && one.form === done) && isTyped(one)).map((one) => [one, counterpart(one, next)]);
  if (!sent && pairs.some(([, other]) => !other)) return;
  if (!sent) for (const row of next.querySelectorAll(ROWS)) {
    if (!old.querySelector(`[href="${CSS.escape(row.getAttribute("href"))}"]`)) row.classList.add("fresh");
  }
  const had = document.activeElement, inside = old.contains(had), scrolled = old.scrollTop;
  const range = inside && had.tagName.match(/^(INPUT|TEXTAREA)$/) ? [had.selectionStart, had.selectionEnd] : [null];
  const href = inside && had.getAttribute("href");
  old.replaceWith(next);
  for (const [field, other] of pairs) if (other) retype(field, other);
  next.scrollTop = scrolled;
  if (!inside) return;
  const now = (had.id && document.getElementById(had.id)) || (had.matches(FIELDS) && counterpart(had, next))
    || (href && next.querySelector(`[href="${CSS.escape(href)}"]`));
  if (!now) return;
  now.focus({ preventScroll: true });
  if (range[0] !== null && now.value === had.value) now.setSelectionRange(...range);
}
async function parsed(response) {
  if (!(response.headers.get("content-type") || "").startsWith("text/html")) throw new Error("no page");
  return new DOMParser().parseFromString(await response.text(), "text/html");
}
function swap(fetched, ids, sent, done) {
  for (const id of ids) {
    const old = document.getElementById(id), next = fetched.getElementById(id);
    if (old && next && !old.isEqualNode(next)) replace(old, next, sent, done);
  }
  document.title = fetched.title || document.title;
}
function told(id, shown, text) {
  const hint = document.getElementById(id);
  if (!hint) return;
  hint.hidden = !shown;
  if (shown && text) hint.firstElementChild.textContent = text;
}

// Something happened: what shows it is fetched again, at most once in a while, and not while a question is open.
const waiting = new Set();
let refreshing = false, sending = 0;
const live = () => [...document.querySelectorAll("[data-live]")].filter((one) => one.id);
function happened(kind) {
  for (const one of live()) if (!kind || one.dataset.live.split(" ").includes(kind)) waiting.add(one.id);
  if (!refreshing) refresh();
}
async function refresh() {
  refreshing = true;
  for (let rest = 150; waiting.size; rest = 500) {
    await pause(rest);
    if (document.hidden) waiting.clear();
    if (sending || document.querySelector("dialog:modal")) continue;
    const ids = [...waiting];
    waiting.clear();
    try {
      const fetched = await page();
      if (fetched && !sending) swap(fetched, ids);
    } catch { // the next event, or the next connection, brings it
    }
  }
  refreshing = false;
}
// This page as it is now; nothing if it has another address by now, or nobody is signed in any more.
async function page() {
  const at = location.href, response = await fetch(at, { headers: { "x-live": "1" } });
  if (new URL(response.url).pathname === "/login") told("signed-out", true);
  if (!response.ok || response.redirected || location.href !== at) return null;
  return parsed(response);
}

// Events. A browser connects again by itself, but not after every failure. A page that nobody sees does not listen:
// browsers open few connections to one server.
let source = null, failures = 0, retry = 0, late = 0;
function listen() {
  const address = document.body.dataset.events;
  if (!address || source || document.hidden) return;
  source = new EventSource(`${address}?after=${encodeURIComponent(document.body.dataset.after || "")}`);
  source.addEventListener("open", () => { failures = 0; clearTimeout(late); late = 0; told("offline", false); });
  source.addEventListener("error", () => {
    late ||= setTimeout(() => told("offline", true), 10000);
    if (source?.readyState === EventSource.CLOSED) again();
  });
  source.addEventListener("reset", () => happened(""));
  for (const kind of KINDS) source.addEventListener(kind, (event) => { if (kind === "results") answered(event); happened(kind); });
}
function deaf() {
  source?.close();
  source = null;
  clearTimeout(late);
  late = 0;
}
function again() {
  source?.close();
  source = null;
  clearTimeout(retry);
  retry = setTimeout(catchUp, Math.min(60000, 1000 * 2 ** failures++) * (0.5 + Math.random()));
}
// Shows what happened while nobody listened, and listens from there on.
async function catchUp() {
  if (source || document.hidden) return;
  try {
    const fetched = await page();
    if (!fetched) throw new Error("not this page");
    document.body.dataset.after = fetched.body.dataset.after;
    swap(fetched, live().map((one) => one.id));
  } catch {
    late ||= setTimeout(() => told("offline", true), 10000);
    return again();
  }
  listen();
}
document.addEventListener("visibilitychange", () => { if (document.hidden) deaf(); else catchUp(); });
addEventListener("pageshow", (event) => { if (event.persisted) { deaf(); catchUp(); } });
addEventListener("pagehide", deaf);

// The notice of a command that was on its way says what became of it.
async function answered(event) {
  const notice = document.querySelector(`[data-command="${CSS.escape(JSON.parse(event.data).command_id)}"]`);
  if (!notice) return;
  try {
    const next = (await parsed(await fetch(notice.dataset.result))).querySelector("#notices .notice");
    if (next) notice.replaceWith(next);
  } catch { // its link leads there
  }
}

// What goes on without events is fetched again for as long as it goes on.
setInterval(() => {
  for (const one of document.querySelectorAll("[data-every]")) waiting.add(one.id);
  if (waiting.size && !refreshing) refresh();
}, 2000);

// Times told in words grow old. This machine's clock may be wrong.
const wrong = Date.now() - Date.parse(document.body.dataset.now);
setInterval(() => {
  for (const shown of document.querySelectorAll("time")) {
    const apart = Math.floor(Math.abs(Date.now() - wrong - Date.parse(shown.dateTime)) / 60000);
    if (apart > 0 && apart < 1440) {
      shown.textContent = shown.textContent.replace(/\d+ (s|min|h)\b/, apart < 60 ? `${apart} min` : `${Math.floor(apart / 60)} h`);
    }
  }
}, 60000);

// A form that changes something is sent in place: the next page takes the place of this one. Without an answer the form
// stays as it is. It may be sent again: what it asks for has an id, and is done once.
async function send(form, button) {
  const fields = new URLSearchParams(new FormData(form, button));
  const buttons = [...form.elements].filter((one) => one.tagName === "BUTTON" && !one.disabled);
  for (const one of buttons) one.disabled = true;
  form.setAttribute("aria-busy", "true");
  sending++;
  told("unsent", false);
  try {
    const response = await fetch(button?.getAttribute("formaction") || form.action, { method: "POST", body: fields });
    const fetched = await parsed(response);
    if (new URL(response.url).pathname === "/login") return told("signed-out", true);
    if (!response.ok) return told("unsent", true, fetched.getElementById("main").textContent.trim());
    form.closest("dialog")?.close();
    swap(fetched, ["main", "rail"], true, fetched.querySelector("#notices .failed") ? null : form);
    if (response.redirected) history.replaceState(null, "", response.url);
    document.body.dataset.after = fetched.body.dataset.after || document.body.dataset.after;
    document.querySelector("#main [autofocus]")?.focus();
  } catch {
    told("unsent", true, document.getElementById("unsent")?.dataset.text);
  } finally {
    sending--;
    form.removeAttribute("aria-busy");
    for (const one of buttons) one.disabled = false;
  }
}
document.addEventListener("click", (event) => {
  const hint = event.target.closest("[data-hide]");
  if (hint) hint.parentElement.hidden = true;
});
document.addEventListener("submit", (event) => {
  const form = event.target;
  if (form.method !== "post" || form.dataset.whole !== undefined || event.defaultPrevented) return;
  event.preventDefault();
  if (!form.hasAttribute("aria-busy")) send(form, event.submitter);
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
// What fits to a typed text is fetched while it is typed.
let typing = 0;
document.addEventListener("input", (event) => {
  const form = event.target.form, shown = form?.dataset.suggest;
  if (!shown) return;
  clearTimeout(typing);
  typing = setTimeout(async () => {
    const typed = () => String(new URLSearchParams(new FormData(form))), asked = typed();
    try {
      const fetched = await parsed(await fetch(`${form.action}?${asked}`));
      if (typed() === asked) swap(fetched, [shown]);
    } catch { // the next letter asks again
    }
  }, 150);
});
document.addEventListener("submit", (event) => {
  if (event.target.dataset.suggest) event.preventDefault();
});
document.addEventListener("change", (event) => {
  if (event.target.dataset.submit !== undefined) event.target.form.requestSubmit();
});

// Keys: they never take a letter from somebody who types.
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
    if (!event.repeat) pressed.click(); // who holds a key down answers one hold, not those behind it
  }
  event.preventDefault();
});

listen();
