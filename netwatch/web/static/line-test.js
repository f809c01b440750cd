// Several streams at once, as a browser can: netwatch counts them at its own sockets and says when it has seen enough.
const STREAMS = 4;
const RANDOM_BYTES = 65536;

function portion(bytes) {
  const parts = [];
  for (let filled = 0; filled < bytes; filled += RANDOM_BYTES) parts.push(crypto.getRandomValues(new Uint8Array(RANDOM_BYTES)));
  return new Blob(parts);
}

async function down(address, signal) {
  const answer = await fetch(address, { signal, cache: "no-store" });
  if (!answer.ok) return;
  const reader = answer.body.getReader();
  while (!(await reader.read()).done);
}

async function up(address, signal, body) {
  for (let again = ""; (await fetch(address + again, { method: "POST", body, signal })).ok; again = "&again=1");
}

async function measure(form, said) {
  const { lineTest, direction, key, portionBytes } = form.dataset;
  const query = `?k=${encodeURIComponent(key)}`;
  const stop = new AbortController();
  const verdict = fetch(lineTest + query, { method: "POST" });
  const body = direction === "up" ? portion(Number(portionBytes)) : null;
  const flow = direction === "up" ? up : down;
  const flows = Array.from({ length: STREAMS }, () => flow(`${lineTest}/flow${query}`, stop.signal, body).catch(() => {}));
  try {
    const told = await (await verdict).json();
    said.textContent = told.text;
    said.dataset.verdict = told.verdict;
  } finally {
    stop.abort();
    await Promise.all(flows);
  }
}

for (const form of document.querySelectorAll("[data-line-test]")) {
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const said = form.querySelector(".said");
    const buttons = document.querySelectorAll("button");
    buttons.forEach((button) => (button.disabled = true));
    said.hidden = false;
    said.textContent = said.dataset.running;
    try {
      await measure(form, said);
    } catch {
      said.textContent = said.dataset.failed;
    }
    buttons.forEach((button) => (button.disabled = false));
  });
}
