// What changes is sent by the server as HTML and as texts; this puts it in its place. Without it the page stands still.
"use strict";

const live = document.getElementById("live");
const UNITS = [[86400, "d"], [3600, "h"], [60, "m"], [1, "s"]];
let skew = Number(live.dataset.now) - Date.now() / 1000;
let stream = null;
let heard = Date.now();

function lasting(seconds) {
  const left = Math.max(0, Math.floor(seconds));
  const [length, unit] = UNITS.find(([one]) => left >= one) ?? UNITS[3];
  return `${Math.floor(left / length)}${unit}`;
}

function now() {
  return Date.now() / 1000 + skew;
}

function tick() {
  for (const time of document.querySelectorAll("time[data-ago]")) {
    const text = lasting(now() - Number(time.dataset.ago));
    if (time.textContent !== text) time.textContent = text;
    if (!time.title) time.title = new Date(Number(time.dataset.ago) * 1000).toLocaleString();
  }
}

function tell(text, isLive) {
  live.textContent = text;
  live.classList.toggle("on", isLive);
}

// What a person has opened or is about to press stays so.
function focusables(element) {
  return [...element.querySelectorAll("a[href], button, input, summary, [tabindex]")];
}

function put(id, html) {
  const template = document.createElement("template");
  template.innerHTML = html;
  const made = template.content.firstElementChild;
  const had = document.getElementById(id);
  if (!had) {
    document.getElementById("rows")?.append(made);
    return;
  }
  const place = focusables(had).indexOf(document.activeElement);
  had.replaceWith(made);
  if (place >= 0) focusables(made)[place]?.focus({ preventScroll: true });
}

function fill(id, texts) {
  const piece = document.getElementById(id);
  if (!piece) return;
  for (const cell of piece.querySelectorAll("[data-cell]")) {
    const text = texts[cell.dataset.cell] ?? "";
    if ("value" in cell) cell.value = text;
    else if (cell.textContent !== text) cell.textContent = text;
  }
}

function order(ids) {
  const rows = document.getElementById("rows");
  if (!rows) return;
  const wanted = new Set(ids);
  for (const row of [...rows.children]) if (!wanted.has(row.id)) row.remove();
  const focused = document.activeElement;
  ids.forEach((id, at) => {
    const row = document.getElementById(id);
    if (row && rows.children[at] !== row) rows.insertBefore(row, rows.children[at] ?? null);
  });
  if (focused !== document.activeElement) focused.focus({ preventScroll: true });
}

function take(news) {
  heard = Date.now();
  skew = news.now - heard / 1000;
  for (const [id, html] of Object.entries(news.pieces ?? {})) put(id, html);
  for (const [id, texts] of Object.entries(news.cells ?? {})) fill(id, texts);
  if (news.order) order(news.order);
  if (news.title) {
    document.title = news.title;
    const icon = document.getElementById("icon");
    icon.href = icon.dataset[news.tone] ?? icon.dataset.good;
  }
  tell("live", true);
  tick();
}

function listen() {
  stream?.close();
  stream = new EventSource(live.dataset.stream);
  stream.onmessage = (event) => take(JSON.parse(event.data));
  stream.onerror = () => {
    tell(`no answer for ${lasting((Date.now() - heard) / 1000)}: what you see is old`, false);
    // A browser asks again by itself, but not after an answer that is no stream: signed out, or too many look on.
    if (stream.readyState === EventSource.CLOSED) setTimeout(listen, 5000);
  };
}

// Browsers have six connections to a service: pages that nobody sees leave theirs to others.
document.addEventListener("visibilitychange", () => {
  if (document.hidden) {
    stream?.close();
    stream = null;
  } else if (!stream) listen();
});

setInterval(tick, 1000);
tick();
if (!document.hidden) listen();
