// The page: a picture becomes a code here, in the browser, and its code is searched for here too.
// Everything that comes from the index or a file is set as text, never as HTML.

import { moveAmongCards } from "./cards.js";
import { Codes } from "./codes.js";
import { Hasher } from "./hasher.js";
import { PictureError } from "./picture.js";

const $ = (id) => document.getElementById(id);
const grid = $("grid"), choose = $("choose"), find = $("find"), file = $("file");
const NAMES = { image: "pictures", text: "words", fused: "both" };
const READY = "Choose a picture to find what is like it, or start from one of these.";
const STEP = 24; // results shown at once

let settings, items, hasher;
const codes = {};
const queries = []; // what was asked, for the way back: {name, picture, packed, milliseconds}
let query = null, shown = STEP, turn = 0;

function element(name, properties, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}

async function download(path, progress = () => {}) {
  const response = await fetch(path);
  if (!response.ok) throw new Error(`${path}: status ${response.status}`);
  const parts = [], reader = response.body.getReader();
  for (let size = 0, part; !(part = await reader.read()).done; ) {
    parts.push(part.value);
    progress((size += part.value.length));
  }
  return new Uint8Array(await new Blob(parts).arrayBuffer());
}

async function downloadJson(path) {
  return JSON.parse(new TextDecoder().decode(await download(path)));
}

async function start() {
  try {
    settings = await downloadJson("data/settings.json");
    $("status").textContent = `Loading the model, ${megabytes(settings.model_bytes)}, once…`;
    $("about").textContent = `${settings.items.toLocaleString("en")} items, ${settings.num_bits} bits each`;
    $("credit").textContent = settings.credit;
    const model = download("data/image.tflite", (size) => {
      $("progress").value = Math.min(1, size / settings.model_bytes);
    });
    const collection = Promise.all([
      downloadJson("data/items.json").then((all) => { items = all; }),
      ...settings.codes.map(async (each) => {
        codes[each] = new Codes(await download(`data/${each}.codes`), settings.num_bits);
      }),
    ]);
    [hasher] = await Promise.all([Hasher.load(model, settings.image_size), collection]);
    if (settings.codes.some((each) => codes[each].length !== items.length)) {
      throw new Error("codes and items do not fit together");
    }
  } catch (error) {
    $("status").textContent = "";
    showError(`The page cannot start: ${error.message}`);
    return;
  } finally {
    $("progress").hidden = true;
  }
  find.replaceChildren(...settings.codes.map(
    (each) => element("option", { value: each, textContent: NAMES[each] })));
  find.disabled = choose.disabled = false;
  showExamples();
  choose.focus({ preventScroll: true });
}

function megabytes(bytes) {
  return `${(bytes / 1e6).toFixed(1)} MB`;
}

async function askFile(blob) {
  if (!hasher) return;
  const mine = ++turn, picture = URL.createObjectURL(blob);
  showQuery({ name: blob.name || "A picture", picture });
  $("status").textContent = "Computing its code…";
  grid.setAttribute("aria-busy", "true");
  // A frame for the message before the work, which holds the page for a moment.
  await new Promise((done) => requestAnimationFrame(() => setTimeout(done)));
  try {
    const code = await hasher.hash(blob);
    if (mine === turn) ask({ name: blob.name || "A picture", picture, ...code });
  } catch (error) {
    if (mine !== turn) return; // a newer picture has taken its place
    showNothing();
    const reason = error instanceof PictureError ? error.message : `the encoder failed (${error.message})`;
    showError(`This cannot be searched with: ${reason}.`);
    $("query-picture").hidden = true;
    $("invitation").hidden = false;
  }
}

function askItem(position) {
  turn++;
  const [, text, hasPicture] = items[position];
  ask({ name: text, picture: hasPicture ? pictureOf(position) : "", packed: codes.image.at(position) });
  window.scrollTo({ top: 0 });
}

function ask(asked) {
  queries.push(asked);
  history.pushState({ query: queries.length - 1 }, "");
  show(asked);
}

function show(asked) {
  query = asked;
  shown = STEP;
  showQuery(query);
  showHits();
}

function showQuery({ name, picture, packed }) {
  $("error").hidden = true;
  $("query-words").textContent = name;
  document.title = `${name.slice(0, 60)} - Search by picture`;
  $("query-picture").hidden = !picture;
  $("invitation").hidden = Boolean(picture);
  if (picture) $("query-picture").src = picture;
  $("code").hidden = !packed;
  if (packed) showCode(packed);
}

// The bits of a code as dark and light fields.
function showCode(packed) {
  const bits = [...packed].flatMap((byte) => [...byte.toString(2).padStart(8, "0")]);
  $("code").replaceChildren(...bits.map(
    (bit) => element("i", { className: bit === "1" ? "one" : "" })));
  const hex = [...packed].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  $("code").dataset.hex = $("code").title = hex;
  $("code").setAttribute("aria-label", `Its code, in hexadecimal: ${hex}`);
}

function showHits() {
  const start = performance.now();
  const hits = codes[find.value].nearest(query.packed, shown);
  const searching = performance.now() - start;
  grid.removeAttribute("aria-busy");
  grid.replaceChildren(...hits.map(({ position, distance }, place) => card(position,
    `${place + 1}: ${items[position][1]}, distance ${distance}`, `${place + 1}`, `d = ${distance}`)));
  $("more").hidden = hits.length === items.length;
  const encoding = "milliseconds" in query ? `encoded in ${query.milliseconds.toFixed(0)} ms, ` : "";
  $("status").textContent = `${hits.length} nearest by ${find.selectedOptions[0].textContent}; `
    + `${encoding}searched in ${searching.toFixed(1)} ms`;
}

// Before anything is asked: some items, without a distance.
function showExamples() {
  grid.replaceChildren(...items.slice(0, STEP).map(([, text], position) => card(position, text)));
  $("status").textContent = items.length ? READY : "The index holds no items.";
}

function card(position, label, ...numbers) {
  const [, text, hasPicture] = items[position];
  const picture = hasPicture
    ? element("img", { src: pictureOf(position), alt: "", loading: "lazy", decoding: "async" })
    : "no picture";
  const made = element("button", { type: "button", className: "card", title: text.slice(0, 300) },
    element("span", { className: "frame" }, picture),
    element("span", { className: "numbers" },
      ...numbers.map((each) => element("span", { textContent: each }))),
    element("span", { className: "words", dir: "auto", textContent: text }));
  made.dataset.position = position;
  made.setAttribute("aria-label", `${label}. Search from it`);
  made.addEventListener("click", () => askItem(position));
  return element("li", {}, made);
}

function pictureOf(position) {
  return `data/pictures/${position}.jpg`;
}

function showNothing() {
  query = null;
  grid.replaceChildren();
  grid.removeAttribute("aria-busy");
  $("code").hidden = $("more").hidden = true;
  $("status").textContent = "";
}

function clear() {
  turn++;
  showNothing();
  showQuery({ name: "" });
  document.title = "Search by picture, on this device";
  showExamples();
}

function showError(message) {
  $("error").textContent = message;
  $("error").hidden = false;
}

function takeFile(files) {
  const picture = [...files].find((each) => each.type.startsWith("image/")) || files[0];
  if (picture) askFile(picture);
}

choose.addEventListener("click", () => file.click());
file.addEventListener("change", () => {
  takeFile(file.files);
  file.value = ""; // so that the same file can be chosen again
});
find.addEventListener("change", () => query && showHits());
$("more").addEventListener("click", () => {
  const next = shown;
  shown += STEP;
  showHits();
  grid.children[next].firstChild.focus({ preventScroll: true });
});
window.addEventListener("popstate", (event) => {
  const asked = queries[event.state?.query];
  if (asked) show(asked);
  else if (hasher) clear();
});

let over = 0;
const isDrag = (event) => event.dataTransfer?.types.includes("Files");
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
  takeFile(event.dataTransfer.files);
});
document.addEventListener("paste", (event) => takeFile(event.clipboardData.files));

document.addEventListener("keydown", (event) => {
  if (!hasher || event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === "o") choose.click();
  else if (event.key === "Escape") {
    clear();
    choose.focus();
  } else if (event.key === "ArrowDown" && event.target === choose && grid.firstChild) {
    event.preventDefault();
    grid.querySelector(".card").focus();
  } else if (event.target.classList.contains("card")) moveAmongCards(event, grid, choose);
});

start();
