/* Tables that sort and filter, and the profiles of models. */
const NONE = /^[–\s]*$/;
const LEADING_NUMBER = /^[+-]?\d[\d,]*(\.\d+)?(?=[\s%±(–\u2020\u2021]|$)/;

function cellValue(cell) {
  const found = one("a.v", cell) ?? cell;
  const text = found.textContent.trim().replace(/−/g, "-");
  if (NONE.test(text)) return null;
  const number = LEADING_NUMBER.exec(text.replace(/^\d+ (?=\d+ \d+–)/, ""));
  return { text, number: number ? Number(number[0].replace(/,/g, "")) : NaN };
}

function csvCell(text) {
  const bare = text.replace(/\s+/g, " ").trim();
  const risky = /^'*[=+\-@＝＋－＠]/.test(bare) && !/^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$/.test(bare);
  const safe = risky ? `'${bare}` : bare;
  return /[",\n]/.test(safe) ? `"${safe.replace(/"/g, '""')}"` : safe;
}

function spaced(node) {
  // "0.51± 0.02" and "model†" are two things that only their markup parts.
  return [...node.childNodes].map((child) => (child.nodeType === 3 ? child.data : spaced(child)))
    .join(node.matches("td, th") ? " " : "");
}

/* On a phone rows of wide tables are stacked, each value under its column's name. */
const phone = matchMedia("(max-width: 48rem)");
function whenNarrow(make) {
  if (phone.matches) make();
  else phone.addEventListener("change", make, { once: true });
}

function makeSortable(table) {
  const heads = all("thead th", table);
  const body = table.tBodies[0];
  const rows = [...body.rows];
  const filters = new Map();
  const count = el("span", { class: "soft count", role: "status" });

  const apply = () => {
    let shown = 0;
    for (const row of rows) {
      const fits = [...filters].every(([column, test]) => test(row.cells[column].textContent.trim()));
      row.hidden = !fits;
      shown += fits;
    }
    count.textContent = shown === rows.length ? `${rows.length} rows` : `${shown} of ${rows.length} rows`;
  };

  const sortBy = (column, head) => {
    const values = new Map(rows.map((row) => [row, cellValue(row.cells[column])]));
    const known = [...values.values()].filter((value) => value !== null);
    const numeric = known.length > 0 && known.every((value) => !Number.isNaN(value.number));
    const before = head.getAttribute("aria-sort");
    const down = before === null ? numeric && !/^(rank|K)\b/.test(head.textContent) : before === "ascending";
    for (const other of heads) other.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", down ? "descending" : "ascending");
    const order = [...rows].sort((a, b) => {
      const [x, y] = [values.get(a), values.get(b)];
      if (x === null || y === null) return (x === null) - (y === null);
      const difference = numeric ? x.number - y.number
        : x.text.localeCompare(y.text, "en", { numeric: true });
      return down ? -difference : difference;
    });
    body.append(...order);
    say(`Sorted by ${head.textContent.trim()}, ${down ? "descending" : "ascending"}.`);
  };

  const bar = el("div", { class: "filters" });
  heads.forEach((head, column) => {
    const name = head.textContent.trim();
    if (rows.length > 1) {
      const button = el("button", { type: "button", class: "by", on: { click: () => sortBy(column, head) } });
      button.append(...head.childNodes);
      head.append(button);
    }
    if (head.hasAttribute("data-filter")) {
      const values = [...new Set(rows.map((row) => row.cells[column].textContent.trim()))];
      values.sort((a, b) => a.localeCompare(b, "en", { numeric: true }));
      if (values.length < 2) return;
      bar.append(select(name, [["", "all"], ...values.map((value) => [`=${value}`, value])], "", (value) => {
        if (value) filters.set(column, (text) => text === value.slice(1));
        else filters.delete(column);
        apply();
      }));
    }
    if (head.hasAttribute("data-search") && rows.length > 8) {
      const id = `s${(unique += 1)}`;
      const box = el("input", { type: "search", id, size: 12, on: { input: () => {
        const asked = box.value.trim().toLowerCase();
        if (asked) filters.set(column, (text) => text.toLowerCase().includes(asked));
        else filters.delete(column);
        apply();
      } } });
      bar.append(el("span", { class: "field" }, el("label", { for: id }, name), box));
    }
  });
  if (table.classList.contains("stack")) {
    const names = heads.map((head) => spaced(head).replace(/\s+/g, " ").trim());
    whenNarrow(() => {
      for (const row of rows) {
        [...row.cells].forEach((cell, column) => {
          if (cell.matches("th")) return;
          cell.dataset.label = names[column];
          cell.classList.toggle("none", NONE.test(cell.textContent));
        });
      }
    });
    if (rows.length > 1) {
      let chosen = 0;
      const by = select("sort by", [["", "as it came"], ...names.map((name, column) => [String(column), name])], "", (value) => {
        chosen = Number(value);
        if (value) sortBy(chosen, heads[chosen]);
      });
      const turn = el("button", { type: "button", class: "quiet narrow", on: { click: () => sortBy(chosen, heads[chosen]) } }, "Reverse");
      by.classList.add("narrow");
      bar.append(by, turn);
    }
  }
  const csv = () => [all("th", table.tHead), ...[...body.rows].filter((row) => !row.hidden).map((row) => [...row.cells])]
    .map((cells) => cells.map((cell) => csvCell(spaced(cell))).join(",")).join("\n") + "\n";
  bar.append(count, copyButton("Copy as CSV", csv, "The table"));
  if (rows.length > 1) {
    apply();
    (table.closest(".scroll") ?? table).before(bar);
  }
}

function makeScrollable(box) {
  const table = one("table", box);
  box.tabIndex = 0;
  box.setAttribute("role", "region");
  box.setAttribute("aria-label", one("caption", box)?.textContent || table?.dataset.name || "A wide table");
}

function makeProfile(box) {
  const names = JSON.parse(box.dataset.names);
  const card = box.closest(".profile");
  const told = one(".told", card);
  const show = (value) => {
    for (const dot of all(".strip circle", card)) dot.classList.toggle("on", dot.classList.contains(`m${value}`));
    for (const dot of all(".strip circle.on", card)) dot.parentNode.append(dot);
    const found = all(".strip circle.on title", card).length;
    told.textContent = `${names[value]} has ${found} of ${all(".strip", card).length} values.`;
  };
  box.append(select("model", names.map((name, i) => [String(i), name]), "0", show));
  show("0");
}

/* What a view's tables can do is made when the view is first seen. */
const prepared = new Set();
function prepare(view) {
  if (prepared.has(view)) return;
  prepared.add(view);
  all(".pickers", view).forEach(makePicker);
  all("table.sort", view).forEach(makeSortable);
  all(".scroll", view).forEach(makeScrollable);
  all(".profiler", view).forEach(makeProfile);
}
