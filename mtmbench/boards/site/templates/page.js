/* The page itself: parts, views, pickers, colours. Text from records becomes text nodes, never HTML. */
const board = JSON.parse(document.getElementById("data").textContent);
const one = (selector, within = document) => within.querySelector(selector);
const all = (selector, within = document) => [...within.querySelectorAll(selector)];

function el(tag, attributes = {}, ...children) {
  const svg = ["svg", "circle", "line", "title", "g"].includes(tag) && attributes.svg !== false;
  const node = svg
    ? document.createElementNS("http://www.w3.org/2000/svg", tag)
    : document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false || name === "svg") continue;
    if (name === "on") for (const [type, f] of Object.entries(value)) node.addEventListener(type, f);
    else node.setAttribute(name, value === true ? "" : String(value));
  }
  node.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return node;
}

/* A long description would fill a phone's first screen. */
if (matchMedia("(max-width: 600px)").matches) one("details.about")?.removeAttribute("open");

const percent = (share, digits = 1) => `${(100 * share).toFixed(digits)} %`;
const say = (text) => { one("#say").textContent = text; };
let unique = 0;

/* Parts: a script that is added is allowed where a fetch of a file is not. */
const wanted = new Map();
globalThis.mtmPart = (name, text) => wanted.get(name)?.take(JSON.parse(text));

function load(part) {
  const name = part.file.split("/").pop();
  if (!wanted.has(name)) {
    const entry = {};
    entry.promise = new Promise((resolve, reject) => {
      entry.take = resolve;
      const script = el("script", { src: part.file, charset: "utf-8" });
      script.addEventListener("error", () => {
        wanted.delete(name);
        reject(new Error(`${part.file} is not beside this page`));
      });
      document.head.append(script);
    });
    wanted.set(name, entry);
  }
  return wanted.get(name).promise;
}

const partsOf = (kind, of = {}) => board.parts.filter(
  (part) => part.kind === kind && Object.entries(of).every(([name, value]) => part[name] === value));
const partOf = (kind, of) => partsOf(kind, of)[0];
const loadIf = (part) => (part ? load(part).catch(() => null) : Promise.resolve(null));
/* The file of a part that is listed and, by what `loadIf` gave, could not be loaded; else null. */
const lost = (part, content) => (part && content === null ? part.file : null);

function select(label, options, value, change) {
  const id = `s${(unique += 1)}`;
  const box = el("select", { id, on: { change: () => change(box.value) } },
    options.map(([key, text]) => el("option", { value: key, selected: key === value }, text)));
  return el("span", { class: "field" }, el("label", { for: id }, label), box);
}

/* Groups of sections of which one is seen at a time. */
const DIMENSIONS = { judge: "judge", corpus: "corpus", k: "K", shown: "topics shown by" };
const toldAs = (dimension, value) => {
  if (dimension === "corpus" && value === "all") return "all, pooled";
  if (dimension === "shown") return board.shown[value] ?? "what each judge reads best";
  if (dimension === "k" && value === "labels") return "number of labels";
  return value;
};

function makePicker(bar) {
  const picks = all(`.pick[data-group="${bar.dataset.for}"]`);
  const fields = Object.keys(DIMENSIONS).filter(
    (name) => new Set(picks.map((pick) => pick.dataset[name])).size > 1);
  const boxes = {};
  const choose = (changed) => {
    const score = (pick) => fields.reduce((sum, name) => sum
      + (pick.dataset[name] === boxes[name].value ? (name === changed ? 100 : 1) : 0), 0);
    const best = picks.reduce((a, b) => (score(b) > score(a) ? b : a));
    for (const pick of picks) pick.classList.toggle("on", pick === best);
    for (const name of fields) boxes[name].value = best.dataset[name];
    say("The view has changed.");
  };
  for (const name of fields) {
    const values = [...new Set(picks.map((pick) => pick.dataset[name]))];
    const field = select(DIMENSIONS[name], values.map((value) => [value, toldAs(name, value)]),
      picks[0].dataset[name], () => choose(name));
    boxes[name] = one("select", field);
    bar.append(field);
  }
}

/* Views. */
const views = all(".view");
const openers = {};

let returning = false;
function go() {
  if (returning) { returning = false; return; }
  const [id, query = ""] = location.hash.slice(1).split("?");
  const told = new URLSearchParams(query);
  if (id === "record") {
    prepare(one(".view.on"));
    showRecord(told);
    return;
  }
  const target = id ? document.getElementById(id) : views[0];
  const view = target?.closest(".view");
  if (!view) return;
  for (const other of views) other.classList.toggle("on", other === view);
  for (const link of all("nav a")) {
    if (link.hash === `#${view.id}`) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  prepare(view);
  openers[view.id]?.(told);
  if (!id) return;
  const heading = one("h2", view);
  heading.tabIndex = -1;
  heading.focus({ preventScroll: true });
  (target === view ? document.body : target).scrollIntoView();
}

/* Colours. */
const THEMES = ["system", "light", "dark"];
function setTheme(theme) {
  if (theme === "system") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme;
  one("#theme").textContent = `Colours: ${theme}`;
  try { localStorage.setItem("mtmbench-theme", theme); } catch { /* no storage for this page */ }
}

async function copy(text, what) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    const area = el("textarea", { class: "hide" });
    area.value = text;
    document.body.append(area);
    area.select();
    document.execCommand("copy");
    area.remove();
  }
  say(`${what} copied.`);
}

function copyButton(label, text, what) {
  const button = el("button", { type: "button", class: "quiet", on: { click: async () => {
    await copy(text(), what);
    button.textContent = "Copied";
    setTimeout(() => { button.textContent = label; }, 1500);
  } } }, label);
  return button;
}
