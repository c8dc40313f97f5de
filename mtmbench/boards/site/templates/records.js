/* From a number to its records. */
async function showRecord(told) {
  const dialog = one("#record");
  const body = one(".body", dialog);
  body.replaceChildren();
  const close = () => {
    if (!location.hash.startsWith("#record")) return;
    returning = true;
    if (history.length > 1) history.back();
    else location.hash = "";
  };
  // A page that is published without its records has nothing to link or to search.
  const records = () => board.records ? el("a", { href: board.records }, board.records) : "the board's records";
  const line = (key) => el("li", {}, el("code", {}, key), board.records ? [" ",
    copyButton("Copy the command", () => `${board.grep} ${key} ${board.records} | python3 -m json.tool`, "The command")] : []);
  if (told.has("key")) {
    body.append(el("p", {}, told.get("about") ?? "The record under this key, in ",
      records(), ":"), el("ul", { class: "keys" }, line(told.get("key"))));
  } else {
    const number = told.get("m");
    let found = null;
    const missing = [];
    for (const part of partsOf("values")) {
      const content = await loadIf(part);
      missing.push(lost(part, content));
      if (content && content[number]) { found = content[number]; break; }
    }
    if (found === null) {
      const files = missing.filter(Boolean);
      const writes = one("#metrics .left-out") ? [", and the command at the head of ", el("a", { href: "#metrics" }, "Metrics"), " writes them there"] : [];
      body.append(el("p", {}, files.length ? `The records behind this number could not be loaded: not beside this page is ${files.join(", ")}; `
        : "The records behind this number are not beside this page; ",
      "they stand in ", records(), writes, "."));
    } else {
      const rows = found.map(([key, seed, value, status, reason]) => el("tr", {},
        el("td", {}, seed === null ? "all" : String(seed)),
        el("td", { class: "n" }, value === null ? "–" : String(value)),
        el("td", {}, reason || (status === "ok" ? "" : status)), el("td", {}, el("code", {}, key))));
      body.append(el("p", {}, "The value is the mean of these records, in ",
        records(), board.records ? "; find one by its key." : ", which are not published with it."),
      el("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": "Records" }, el("table", {},
        el("thead", {}, el("tr", {}, ["seed", "value", "why not", "key"].map((name) => el("th", { scope: "col" }, name)))),
        el("tbody", {}, rows))));
    }
  }
  dialog.addEventListener("close", close, { once: true });
  if (!dialog.open) dialog.showModal();
}
const recordLink = (key, text) => el("a", { class: "v", href: `#record?key=${encodeURIComponent(key)}` }, text ?? key.slice(0, 8));
