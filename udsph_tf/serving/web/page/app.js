// Everything that comes from the index or the user is set as text, never as HTML.

import { moveAmongCards } from "./cards.js";

const $ = (id) => document.getElementById(id);
const form = $("form"), text = $("text"), file = $("file"), grid = $("grid");
const NAMES = { images: "pictures", texts: "words", items: "both" };
let info = null;
let query = null; // {kind: "text", text} | {kind: "item", id, words} | {kind: "image", file}
let running = null; // the AbortController of the search that is under way
let pictureUrl = null;

function element(name, attributes, ...children) {
  const made = Object.assign(document.createElement(name), attributes);
  made.append(...children);
  return made;
}

function option(value, label, selected) {
  return element("option", { value, textContent: label, selected: Boolean(selected) });
}

async function answerOf(response) {
  let body = null;
  try {
    body = await response.json();
  } catch {
    // Something between here and the service answered in its place.
  }
  if (!response.ok) {
    const message = body && body.error && body.error.message;
    throw new Error(message || `The service answered with status ${response.status}`);
  }
  return body;
}

async function start() {
  try {
    info = await answerOf(await fetch("v1/info"));
  } catch (error) {
    showError(`The service cannot be reached. ${error.message}`);
    return;
  }
  $("find").replaceChildren(...info.finds.map((each) => option(each, NAMES[each])));
  const lengths = info.lengths;
  $("bits").replaceChildren(
    ...lengths.map((each) => option(each, `${each}`, each === lengths[lengths.length - 1])));
  $("bits-label").hidden = lengths.length < 2;
  const counts = [12, 24, 48, 96].filter((each) => each <= info.limits.k);
  if (!counts.length) counts.push(info.limits.k);
  $("k").replaceChildren(...counts.map((each) => option(each, `${each}`, each === 24)));
  text.maxLength = info.limits.text_length;
  showFields();
  const number = info.items.toLocaleString("en");
  $("about").textContent =
    `${number} items${info.dataset ? ` of ${info.dataset}` : ""}, ${info.bits} bits each`
    + (info.exact ? "" : ", approximate search");
  readAddress();
}

function showFields() {
  const fields = Object.entries(info.facets).map(([field, values]) => {
    const all = Object.entries(values).map(([value, number]) => option(value, `${value} (${number})`));
    const select = element("select", {}, option("", "any"), ...all);
    select.dataset.field = field;
    select.addEventListener("change", changed);
    return element("label", { textContent: `${field} ` }, select);
  });
  $("fields").replaceChildren(...fields);
  $("filters").hidden = !fields.length;
}

function chosenFilters() {
  const chosen = {};
  for (const select of document.querySelectorAll("#fields select")) {
    if (select.value) chosen[select.dataset.field] = [select.value];
  }
  const number = Object.keys(chosen).length;
  $("filter-count").textContent = number ? `(${number})` : "";
  return chosen;
}

function options() {
  const bits = Number($("bits").value);
  return {
    find: $("find").value,
    k: Number($("k").value),
    rerank: $("rerank").checked,
    filters: chosenFilters(),
    ...(bits && bits !== info.bits ? { bits } : {}),
  };
}

function request() {
  const chosen = options();
  if (query.kind === "image") {
    const address = new URLSearchParams();
    for (const name of ["find", "k", "rerank", "bits"]) {
      if (name in chosen) address.set(name, chosen[name]);
    }
    for (const [field, values] of Object.entries(chosen.filters)) {
      for (const value of values) address.append("filter", `${field}=${value}`);
    }
    return [`v1/search/image?${address}`, { body: query.file,
      headers: { "content-type": "application/octet-stream" } }];
  }
  const what = query.kind === "text" ? { text: query.text } : { id: query.id };
  return [`v1/search/${query.kind}`, { body: JSON.stringify({ ...what, ...chosen }),
    headers: { "content-type": "application/json" } }];
}

async function search() {
  if (!info || !query) return;
  if (running) running.abort();
  const mine = running = new AbortController();
  showQuery();
  $("error").hidden = true;
  $("status").textContent = "Searching…";
  grid.setAttribute("aria-busy", "true");
  try {
    if (query.kind === "image" && query.file.size > info.limits.upload_bytes) {
      const most = Math.floor(info.limits.upload_bytes / 1048576);
      throw new Error(`The picture is larger than ${most} MB`);
    }
    const [address, rest] = request();
    const answer = await answerOf(await fetch(address, { method: "POST", signal: mine.signal, ...rest }));
    showHits(answer);
  } catch (error) {
    if (mine.signal.aborted) return; // a newer search has taken its place
    grid.replaceChildren();
    $("facts").textContent = "";
    $("status").textContent = "";
    showError(error instanceof TypeError
      ? "The service cannot be reached; is it still running?" : error.message);
  }
  if (running === mine) grid.removeAttribute("aria-busy");
}

function showError(message) {
  $("error").textContent = message;
  $("error").hidden = false;
}

function showQuery() {
  const picture = $("query-picture");
  if (pictureUrl) URL.revokeObjectURL(pictureUrl);
  pictureUrl = null;
  picture.hidden = query.kind === "text";
  if (query.kind === "image") {
    pictureUrl = URL.createObjectURL(query.file);
    picture.src = pictureUrl;
  } else if (query.kind === "item") {
    picture.src = pictureOf(query.id);
  } else {
    picture.removeAttribute("src");
  }
  const words = { text: () => query.text, image: () => query.file.name || "A picture",
    item: () => query.words || `Item ${query.id}` };
  $("query-words").textContent = words[query.kind]();
  document.title = `${$("query-words").textContent.slice(0, 60)} - Search`;
  $("facts").textContent = "";
  $("query").hidden = false;
}

function pictureOf(id) {
  return `v1/picture?${new URLSearchParams({ id, size: 320 })}`;
}

function showHits(answer) {
  grid.replaceChildren(...answer.hits.map(card));
  const milliseconds = (answer.encode_ms + answer.search_ms).toFixed(1);
  $("facts").textContent = `${answer.bits} bits, ${milliseconds} ms`
    + (answer.reranked ? ", re-ranked" : "") + (answer.exact ? "" : ", approximate");
  const number = answer.hits.length;
  $("status").textContent = number
    ? `${number} nearest by ${NAMES[answer.find] === "both" ? "pictures and words" : NAMES[answer.find]}`
    : "Nothing found. Fewer filters let more through.";
}

function card(hit) {
  const image = element("img", { src: pictureOf(hit.id), alt: "", loading: "lazy", decoding: "async" });
  const frame = element("span", { className: "frame" }, image);
  image.addEventListener("error", () => frame.replaceChildren("no picture"));
  const distance = hit.asymmetric === null
    ? `d = ${hit.distance}` : `d = ${hit.distance} (${hit.asymmetric.toFixed(2)})`;
  const made = element("button", { type: "button", className: "card", title: hit.text.slice(0, 300) },
    frame,
    element("span", { className: "numbers" },
      element("span", { textContent: `${hit.rank}` }), element("span", { textContent: distance })),
    element("span", { className: "words", dir: "auto", textContent: hit.text }));
  made.setAttribute("aria-label", `${hit.rank}: ${hit.text}, distance ${hit.distance}. Search from it`);
  made.addEventListener("click", () => {
    ask({ kind: "item", id: hit.id, words: hit.text });
    window.scrollTo({ top: 0 });
  });
  return element("li", {}, made);
}

function ask(asked) {
  query = asked;
  if (asked.kind !== "text") text.value = "";
  writeAddress();
  return search();
}

function changed() {
  chosenFilters();
  if (query) {
    writeAddress();
    search();
  }
}

function clear() {
  if (running) running.abort();
  query = null;
  text.value = "";
  grid.replaceChildren();
  grid.removeAttribute("aria-busy");
  $("query").hidden = $("error").hidden = true;
  document.title = "Search";
  $("status").textContent = "Type words and press Enter, or drop a picture anywhere on this page.";
  text.focus();
}

// What was asked stands in the address, so that going back works. A picture cannot stand there.
function writeAddress() {
  const state = new URLSearchParams();
  if (query.kind === "text") state.set("q", query.text);
  if (query.kind === "item") state.set("id", query.id);
  if (query.kind !== "image") {
    for (const name of ["find", "bits", "k"]) state.set(name, $(name).value);
    if ($("rerank").checked) state.set("rerank", "1");
    for (const [field, [value]] of Object.entries(chosenFilters())) state.append("filter", `${field}=${value}`);
  }
  const hash = `#${state}`;
  if (hash !== location.hash) history.pushState(null, "", hash);
}

function readAddress() {
  const state = new URLSearchParams(location.hash.slice(1));
  for (const name of ["find", "bits", "k"]) {
    const known = [...$(name).options].some((each) => each.value === state.get(name));
    if (known) $(name).value = state.get(name);
  }
  $("rerank").checked = state.get("rerank") === "1";
  const filters = new Map(state.getAll("filter").map((each) => {
    const at = each.indexOf("=");
    return [each.slice(0, at), each.slice(at + 1)];
  }));
  for (const select of document.querySelectorAll("#fields select")) {
    select.value = filters.get(select.dataset.field) || "";
    if (select.selectedIndex < 0) select.value = "";
  }
  chosenFilters();
  text.value = state.get("q") || "";
  if (state.has("q")) query = { kind: "text", text: state.get("q") };
  else if (state.has("id")) query = { kind: "item", id: state.get("id"), words: "" };
  else if (!query || query.kind !== "image") return clear();
  return search();
}

function takeFile(list) {
  const picture = [...list].find((each) => each.type.startsWith("image/")) || list[0];
  if (picture) ask({ kind: "image", file: picture });
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  const words = text.value.trim();
  if (words) ask({ kind: "text", text: words });
  else clear();
});
for (const name of ["find", "bits", "k", "rerank"]) $(name).addEventListener("change", changed);
$("choose").addEventListener("click", () => file.click());
file.addEventListener("change", () => {
  takeFile(file.files);
  file.value = ""; // so that the same file can be chosen again
});
window.addEventListener("popstate", readAddress);

let over = 0;
function isDrag(event) {
  return event.dataTransfer && [...event.dataTransfer.types].includes("Files");
}
document.addEventListener("dragenter", (event) => {
  if (isDrag(event)) $("drop").hidden = ++over < 1;
});
document.addEventListener("dragleave", (event) => {
  if (isDrag(event)) $("drop").hidden = --over < 1;
});
document.addEventListener("dragover", (event) => event.preventDefault());
document.addEventListener("drop", (event) => {
  event.preventDefault();
  over = 0;
  $("drop").hidden = true;
  if (event.dataTransfer.files.length) takeFile(event.dataTransfer.files);
});
document.addEventListener("paste", (event) => {
  if (event.clipboardData.files.length) takeFile(event.clipboardData.files);
});

document.addEventListener("keydown", (event) => {
  const typing = event.target === text || event.target.tagName === "SELECT";
  if (event.key === "/" && !typing) {
    event.preventDefault();
    text.focus();
    text.select();
  } else if (event.key === "Escape") {
    clear();
    history.replaceState(null, "", location.pathname);
  } else if (event.key === "ArrowDown" && event.target === text) {
    const first = grid.querySelector(".card");
    if (first) {
      event.preventDefault();
      first.focus();
    }
  } else if (event.target.classList.contains("card")) {
    moveAmongCards(event, grid, text);
  }
});

start();
