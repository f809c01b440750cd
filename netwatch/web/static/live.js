// Keeps the page true: asks for the fragment again when netwatch says that something changed, and says so when it is silent.

const SILENT_MS = 30_000;
const POLL_MS = 15_000;
const RETRY_STREAM_MS = 60_000;

const main = document.getElementById("content");
const sentence = document.getElementById("sentence");
const moment = document.getElementById("moment");
const stale = document.getElementById("stale");
const favicon = document.getElementById("favicon");
const assets = favicon.getAttribute("href").replace(/favicon-.*$/, "");
const staleText = moment.dataset.stale;

let shown = main.firstElementChild.dataset;
let lastWall = Number(shown.wall);
let heardAt = performance.now();
let freshAt = performance.now();
let fetching = false;
let again = false;

function states() {
  return new Map([...document.querySelectorAll("a.tile")].map((tile) => [tile.id, tile.className.split(" ")[1]]));
}

function swap(fresh) {
  const before = states();
  const focused = document.activeElement?.id;
  const open = new Set([...main.querySelectorAll("details[open]")].map((one) => one.id));
  const parts = new Map([...main.querySelectorAll("[data-part]")].map((one) => [one.dataset.part, one]));
  const wanted = [...fresh.querySelectorAll("[data-part]")];
  if (wanted.length === parts.size && wanted.every((one) => parts.has(one.dataset.part))) {
    for (const part of wanted) {
      for (const details of part.querySelectorAll("details")) details.open = open.has(details.id);
      const old = parts.get(part.dataset.part);
      if (old.outerHTML !== part.outerHTML) old.replaceWith(part);
    }
    for (const [name, value] of Object.entries(fresh.dataset)) main.firstElementChild.dataset[name] = value;
  } else {
    main.replaceChildren(fresh);
  }
  for (const [id, state] of states()) {
    if (before.has(id) && before.get(id) !== state && state !== "ok") document.getElementById(id).classList.add("pulse");
  }
  if (focused && document.activeElement?.id !== focused) document.getElementById(focused)?.focus({ preventScroll: true });
}

function head() {
  if (sentence.textContent !== shown.sentence) sentence.textContent = shown.sentence;
  document.title = (shown.unhandled === "0" ? "" : `(${shown.unhandled}) `) + shown.title;
  favicon.href = `${assets}favicon-${shown.icon}.svg`;
}

function heard() {
  heardAt = performance.now();
  if (!stale.hidden) {
    stale.hidden = true;
    document.body.classList.remove("is-stale");
    head();
  }
}

async function refresh() {
  if (fetching) {
    again = true;
    return;
  }
  fetching = true;
  try {
    const answer = await fetch(main.dataset.fragment, { cache: "no-store" });
    if (!answer.ok) return;
    const template = document.createElement("template");
    template.innerHTML = (await answer.text()).trim();
    const fresh = template.content.firstElementChild;
    if (fresh.dataset.digest !== shown.digest) {
      location.reload();
      return;
    }
    swap(fresh);
    shown = main.firstElementChild.dataset;
    lastWall = Math.max(lastWall, Number(shown.wall));
    freshAt = performance.now();
    heard();
    head();
  } catch {
    // No answer: the silence itself is shown after SILENT_MS.
  } finally {
    fetching = false;
    if (again) {
      again = false;
      refresh();
    }
  }
}

function tick() {
  const now = performance.now();
  if (now - heardAt > SILENT_MS && stale.hidden) {
    const at = new Date(lastWall * 1000).toLocaleTimeString("vi-VN", { timeZone: "Asia/Ho_Chi_Minh", hour12: false });
    stale.textContent = staleText.replace("{moment}", at);
    stale.hidden = false;
    document.body.classList.add("is-stale");
    document.title = `(?) ${shown.title}`;
    favicon.href = `${assets}favicon-stale.svg`;
  }
  // While events come, what is shown is what is so: the age is that of the last word heard.
  if (shown.every && now - freshAt > Number(shown.every) * 1000 && document.visibilityState === "visible") {
    freshAt = now;
    refresh();
  }
  const seconds = Math.round((now - Math.max(freshAt, heardAt)) / 1000);
  moment.textContent = seconds < 2 ? moment.dataset.now : moment.dataset.ago.replace("{n}", seconds);
}

let polling = 0;

function connect() {
  const source = new EventSource("/api/v1/events");
  const told = (event) => {
    heard();
    clearInterval(polling);
    polling = 0;
    const news = JSON.parse(event.data);
    lastWall = news.wall;
    if (String(news.revision) !== shown.revision || news.started !== Number(shown.started)) refresh();
  };
  source.addEventListener("changed", told);
  source.addEventListener("alive", told);
  source.addEventListener("error", () => {
    // The browser tries again by itself unless it was refused (503: too many readers): then poll, and ask again later.
    if (source.readyState !== EventSource.CLOSED) return;
    if (!polling) polling = setInterval(refresh, POLL_MS);
    setTimeout(connect, RETRY_STREAM_MS);
  });
}

addEventListener("pageshow", (event) => {
  if (event.persisted) refresh();
});
document.addEventListener("visibilitychange", () => {
  if (document.visibilityState === "visible") refresh();
});
setInterval(tick, 1000);
connect();
