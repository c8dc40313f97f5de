/* The match viewer: what was shown of a document, and what every judge said of it. */
const WINNER = { a: 0, A: 0, b: 1, B: 1, t: 2, T: 2 };
const REMOVED = { u: "could not be read", r: "refused" };

/* As mtmbench.matches.match.fold: the same winner in both orders, else a tie; null is removed. */
function folded(forward, backward) {
  if (forward in REMOVED || backward in REMOVED) return null;
  return WINNER[forward] === WINNER[backward] ? WINNER[forward] : 2;
}

openers.matches = async (told) => {
  const parts = partsOf("verdicts");
  const app = one("#matches .app");
  if (!parts.length) return;
  app.hidden = false;
  one("#matches .plain").hidden = true;
  const asked = [...told].length > 0;
  if (app.dataset.made && !asked) return;
  app.dataset.made = "1";
  const found = parts.filter((part) => (!told.get("c") || part.corpus === told.get("c"))
    && (!told.get("k") || String(part.spec) === told.get("k")) && (!told.get("s") || part.shown === told.get("s")));
  const state = { part: found[0] ?? parts[0], judge: told.get("j") ?? "", a: told.get("a") ?? null, b: "", only: "", word: "", most: 60 };
  const bar = el("div", { class: "filters" });
  const list = el("div");
  app.replaceChildren(el("p", { class: "soft" },
    "Two models' topics (of each one's first seed) for the same document, put to the judge in both orders. A win is the same winner in both; anything else is a tie. ",
    "Press a document to see what was shown and said."), bar, list);

  const fields = { corpus: "corpus", spec: "K", shown: "topics shown by" };
  const open = async () => {
    list.replaceChildren(el("p", { class: "soft" }, "Loading …"));
    const content = await loadIf(state.part);
    if (!content) {
      list.replaceChildren(el("p", { class: "warning" }, `${state.part.file} is not beside this page; mtmbench board writes it.`));
      return;
    }
    const { corpus, spec, shown } = state.part;
    state.content = content;
    const more = [partOf("seen", { corpus, spec, shown }), partOf("texts", { corpus })];
    [state.seen, state.texts] = await Promise.all(more.map(loadIf));
    state.lost = [lost(more[0], state.seen), lost(more[1], state.texts)].filter(Boolean);
    if (!content.models.includes(state.a)) [state.a] = content.models;
    if (!content.models.includes(state.b) || state.a === state.b) state.b = told.get("a") ? "" : content.models.find((name) => name !== state.a) ?? "";
    if (!content.judges.includes(state.judge)) state.judge = "";
    bar.replaceChildren();
    for (const [name, label] of Object.entries(fields)) {
      const values = [...new Set(parts.map((part) => String(part[name])))];
      if (values.length < 2) continue;
      bar.append(select(label, values.map((value) => [value, toldAs(name === "spec" ? "k" : name, value)]), String(state.part[name]), (value) => {
        const score = (part) => Object.keys(fields).reduce((sum, field) => sum + (field === name ? 10 * (String(part[field]) === value) : part[field] === state.part[field]), 0);
        state.part = parts.reduce((x, y) => (score(y) > score(x) ? y : x));
        open();
      }));
    }
    const names = content.models.map((name) => [name, name]);
    bar.append(select("model", names, state.a, (value) => { state.a = value; if (state.b === value) state.b = ""; open(); }),
      select("against", [["", "all others"], ...names.filter(([name]) => name !== state.a)], state.b, (value) => { state.b = value; draw(); }));
    if (content.judges.length > 1) bar.append(select("judge", [["", "all"], ...content.judges.map((name) => [name, name])], state.judge, (value) => { state.judge = value; draw(); }));
    bar.append(select("only", [["", "all documents"], ["orders", "orders disagree"], ["judges", "judges name opposite winners"], ["removed", "unparsed or refused"], ["rule", "decided by rule"]],
      state.only, (value) => { state.only = value; draw(); }));
    const id = `s${(unique += 1)}`;
    const search = el("input", { type: "search", id, size: 12, value: state.word, on: { input: () => { state.word = search.value; draw(); } } });
    bar.append(el("span", { class: "field" }, el("label", { for: id }, "document"), search));
    draw();
  };

  /* One entry a document and pair, with what each judge said. */
  const entries = () => {
    const { models, documents, matches } = state.content;
    const made = new Map();
    for (const match of matches) {
      const pair = [models[match.a], models[match.b]];
      if (!pair.includes(state.a) || (state.b && !pair.includes(state.b)) || match.f === undefined) continue;
      if (state.judge && state.content.judges[match.j] !== state.judge) continue;
      const turned = pair[0] !== state.a;
      for (let n = 0; n < match.f.length; n += 1) {
        const place = match.d ? match.d[n] : n;
        const key = `${Math.min(match.a, match.b)} ${Math.max(match.a, match.b)} ${place}`;
        if (!made.has(key)) made.set(key, { place, document: documents[place], names: turned ? [pair[1], pair[0]] : pair, said: [] });
        const forward = match.f[n];
        const backward = (match.g ?? match.f)[n];
        made.get(key).said.push({ match, pair, n, forward, backward, score: folded(forward, backward) });
      }
    }
    return [...made.values()].sort((x, y) => x.names[1].localeCompare(y.names[1]) || x.place - y.place);
  };

  const winner = (said) => (said.score === null ? null : said.score === 2 ? "tie" : said.pair[said.score]);
  const fits = (entry) => {
    if (state.word && !entry.document.toLowerCase().includes(state.word.toLowerCase())) return false;
    if (state.only === "orders") return entry.said.some((s) => s.score !== null && WINNER[s.forward] !== WINNER[s.backward]);
    if (state.only === "judges") return new Set(entry.said.map(winner).filter((name) => name && name !== "tie")).size > 1;
    if (state.only === "removed") return entry.said.some((s) => s.score === null);
    if (state.only === "rule") return entry.said.some((s) => "ABT".includes(s.forward));
    return true;
  };

  const draw = () => {
    const every = entries();
    const kept = every.filter(fits);
    const judges = state.content.judges.filter((name) => !state.judge || name === state.judge);
    const unplayed = state.content.matches.filter((m) => m.why && [state.content.models[m.a], state.content.models[m.b]].includes(state.a));
    const body = el("tbody");
    for (const entry of kept.slice(0, state.most)) {
      const row = el("tr", { class: "match" });
      const button = el("button", { type: "button", class: "open", "aria-expanded": "false", on: { click: () => toggle(row, button, entry) } }, entry.document);
      row.append(el("th", { scope: "row" }, button), el("td", { "data-label": "against" }, entry.names[1]),
        ...judges.map((judge) => {
          const said = entry.said.find((each) => state.content.judges[each.match.j] === judge);
          if (!said) return el("td", { "data-label": judge, class: "soft" }, "–");
          const name = winner(said);
          const kind = name === state.a ? "won" : name === "tie" || name === null ? "tied" : "lost";
          const orders = said.score !== null && WINNER[said.forward] !== WINNER[said.backward] ? " (orders disagree)" : "ABT".includes(said.forward) ? " (by rule)" : "";
          return el("td", { "data-label": judge }, el("span", { class: `verdict ${kind}` }, name ?? "removed"), orders ? el("small", {}, orders) : null);
        }));
      body.append(row);
    }
    const more = kept.length > state.most
      ? el("button", { type: "button", on: { click: () => { state.most += 200; draw(); } } }, `Show more (${kept.length - state.most} left)`) : null;
    list.replaceChildren(el("p", { class: "soft", role: "status" }, `${kept.length} of ${every.length} comparisons of ${state.a}`,
      unplayed.length ? `; ${unplayed.length} matches were not played: ${[...new Set(unplayed.map((m) => m.why))].join("; ")}` : ""),
    el("table", { class: "explore" }, el("caption", {}, `${state.a} against ${state.b || "all others"} on ${partName(state.part)}; winners by judge`),
      el("thead", {}, el("tr", {}, ["document", "against", ...judges].map((name) => el("th", { scope: "col" }, name)))), body), more ?? "");
  };

  const toggle = async (row, button, entry) => {
    if (row.nextElementSibling?.classList.contains("detail")) {
      row.nextElementSibling.remove();
      button.setAttribute("aria-expanded", "false");
      return;
    }
    button.setAttribute("aria-expanded", "true");
    const cell = el("td", { colspan: row.cells.length });
    row.after(el("tr", { class: "detail" }, cell));
    cell.append(await detail(entry));
  };

  const detail = async (entry) => {
    const node = el("div", { class: "about-match" });
    const text = state.texts?.[entry.document];
    const note = state.lost.length ? `What was shown could not be loaded: not beside this page is ${state.lost.join(", ")}.`
      : text ? null : state.seen?.why ?? "The text and the topics that were shown are on the page of the run's own folder.";
    node.append(el("h4", {}, entry.document), ...(text ? [el("blockquote", { class: "text" }, text)] : []), ...(note ? [el("p", { class: "soft" }, note)] : []));
    const place = state.seen ? state.seen.documents.indexOf(entry.document) : -1;
    if (place >= 0) {
      node.append(el("div", { class: "sides" }, entry.names.map((name) => {
        const topics = state.seen.sides[name]?.[place];
        return el("section", {}, el("h5", {}, name), topics && topics.length
          ? el("ol", {}, topics.map(([at, share]) => el("li", {}, state.seen.strings[at], el("small", {}, ` ${percent(share, 0)}`))))
          : el("p", { class: "soft" }, topics ? "no topic" : "not shown"));
      })));
    }
    const { corpus, spec, shown } = state.part;
    for (const said of entry.said) {
      const kept = await loadIf(partOf("replies", { corpus, spec, shown, a: said.pair[0] }));
      const judge = state.content.judges[said.match.j];
      const who = (char) => (char in REMOVED ? REMOVED[char] : WINNER[char] === 2 ? "a tie" : said.pair[WINNER[char]]);
      const rule = "ABT".includes(said.forward);
      const replies = said.match.u?.[entry.document] ?? kept?.[said.match.key]?.[entry.document];
      const order = said.forward === said.backward && !said.match.g && !board.judges[judge];
      node.append(el("div", { class: "said" }, el("p", {}, el("b", {}, judge), ": ",
        rule ? `${who(said.forward)}, by rule: ${WINNER[said.forward] === 2 ? "both show the same, or nothing" : "the other shows no topic"}`
          : order ? who(said.forward)
            : `${said.pair[0]} first: ${who(said.forward)}; ${said.pair[1]} first: ${who(said.backward)}`,
        " ", recordLink(said.match.key, `record ${said.match.key.slice(0, 8)}`)),
      replies ? replies.map((reply, n) => (reply === null ? null : el("details", { open: true }, el("summary", {}, `in its words, ${said.pair[n]} first`), el("blockquote", {}, reply)))) : null));
    }
    return node;
  };

  await open();
};

/* How long things took: only a run's own page knows. */
openers.costs = async () => {
  const app = one("#costs .app");
  const part = partsOf("times")[0];
  if (!part || app.dataset.made) return;
  app.dataset.made = "1";
  const content = await loadIf(part);
  if (!content) return;
  app.hidden = false;
  one("#costs .plain-speed").hidden = true;
  const table = el("table", { class: "sort stack", "data-name": "times" }, el("caption", {}, "Seconds of wall time, as this run took them"),
    el("thead", {}, el("tr", {}, el("th", { scope: "col", "data-filter": true }, "what"), el("th", { scope: "col", "data-filter": true }, "corpus"), el("th", { scope: "col" }, "of"),
      ["cells", "median", "most", "together", "peak MiB"].map((name) => el("th", { scope: "col", class: "n" }, name)))),
    el("tbody", {}, content.map((row) => el("tr", {}, row.map((value, n) => el(n === 2 ? "th" : "td", { class: n > 2 ? "n" : null, scope: n === 2 ? "row" : null }, value === null ? "–" : String(value)))))));
  app.append(el("div", { class: "tall scroll" }, table));
  makeSortable(table);
  makeScrollable(one(".scroll", app));
};

const cite = one("#cite");
cite?.after(el("p", {}, copyButton("Copy the citation", () => cite.textContent, "The citation")));
one("#theme").hidden = false;
one("#theme").addEventListener("click", () => setTheme(THEMES[(THEMES.indexOf(document.documentElement.dataset.theme ?? "system") + 1) % 3]));
setTheme(document.documentElement.dataset.theme ?? "system");
addEventListener("hashchange", go);
go();
document.documentElement.dataset.ready = "1";
