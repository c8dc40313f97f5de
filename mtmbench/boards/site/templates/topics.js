/* The topic explorer: one model's topics, those of others matched to them, a map of all. */
function partName(part) {
  const k = part.spec === "labels" ? `K = number of labels (${part.k})` : `K = ${part.k}`;
  return [part.corpus, k].join(", ");
}

openers.topics = async (told) => {
  const parts = partsOf("topics");
  const app = one("#topics .app");
  if (!parts.length || app.dataset.made) return;
  app.dataset.made = "1";
  app.hidden = false;
  one("#topics .plain").hidden = true;
  const state = { part: parts.find((part) => part.corpus === told.get("c")) ?? parts[0], others: [], words: "" };
  const bar = el("div", { class: "filters" });
  const box = el("div");
  app.append(el("p", { class: "soft" },
    "Each row is a topic of the first model, with the topics of the others that share most words with it, matched one to one ",
    "(Hungarian algorithm on the Jaccard index of projected words). Press a topic to see all that is known of it."), bar, box);

  const places = [...new Set(parts.map((part) => JSON.stringify([part.corpus, part.spec])))];
  const open = async () => {
    bar.replaceChildren();
    box.replaceChildren(el("p", { class: "soft" }, "Loading …"));
    const content = await loadIf(state.part);
    if (!content) {
      box.replaceChildren(el("p", { class: "warning" }, `${state.part.file} is not beside this page; mtmbench board writes it.`));
      return;
    }
    state.content = content;
    const documents = partOf("documents", { corpus: state.part.corpus, spec: state.part.spec, seed: state.part.seed });
    state.extra = await loadIf(documents);
    state.lost = lost(documents, state.extra);
    const names = content.models.map((model) => model.n);
    const at = (name) => names.indexOf(name);
    const strongest = all("#overview .pick.on .rating tbody th").map((cell) => cell.textContent.trim()).filter((name) => at(name) >= 0);
    const order = [...new Set([...strongest, ...names])];
    if (at(state.ref) < 0) [state.ref] = order;
    state.others = state.others.filter((name) => at(name) >= 0 && name !== state.ref);
    const rest = order.filter((name) => name !== state.ref && !state.others.includes(name));
    while (state.others.length < 2 && rest.length) state.others.push(rest.shift());

    const here = JSON.stringify([state.part.corpus, state.part.spec]);
    bar.append(select("corpus and K", places.map((place) => {
      const [corpus, spec] = JSON.parse(place);
      return [place, partName(partOf("topics", { corpus, spec }))];
    }), here, (value) => {
      const [corpus, spec] = JSON.parse(value);
      state.part = partOf("topics", { corpus, spec });
      open();
    }));
    const seeds = partsOf("topics", { corpus: state.part.corpus, spec: state.part.spec });
    if (seeds.length > 1) {
      bar.append(select("seed", seeds.map((part) => [String(part.seed), String(part.seed)]), String(state.part.seed), (value) => {
        state.part = seeds.find((part) => String(part.seed) === value);
        open();
      }));
    }
    bar.append(select("model", names.map((name) => [name, name]), state.ref, (value) => { state.ref = value; open(); }));
    state.others.forEach((other, i) => bar.append(select(i ? "and" : "beside", names.filter((name) => name !== state.ref).map((name) => [name, name]), other,
      (value) => { state.others[i] = value; open(); })));
    const id = `s${(unique += 1)}`;
    const search = el("input", { type: "search", id, size: 14, value: state.words, on: { input: () => { state.words = search.value; filter(); } } });
    bar.append(el("span", { class: "field" }, el("label", { for: id }, "word"), search));
    draw();
  };

  const matched = (i, j) => {
    const pairs = state.content.pairs[i < j ? `${i},${j}` : `${j},${i}`] ?? [];
    return new Map(pairs.map(([a, b, overlap]) => (i < j ? [a, [b, overlap]] : [b, [a, overlap]])));
  };

  const words = (model, topic, shared = new Set()) => el("span", { class: "words" }, topic.i.slice(0, 8).flatMap((item, i) => [
    i ? " · " : null, shared.has(item) ? el("mark", {}, item) : item]),
  model.kind === "features" && topic.w.length ? el("small", {}, " words: ", topic.w.slice(0, 6).flatMap((word, i) => [
    i ? ", " : null, shared.has(word) ? el("mark", {}, word) : word])) : null);

  const filter = () => {
    const asked = state.words.trim().toLowerCase();
    let shown = 0;
    for (const row of all("tbody tr.topic", box)) {
      row.hidden = asked !== "" && !row.textContent.toLowerCase().includes(asked);
      shown += !row.hidden;
    }
    for (const row of all("tbody tr.detail", box)) row.hidden = row.previousElementSibling.hidden;
    say(`${shown} topics`);
  };

  const draw = () => {
    const { models } = state.content;
    const at = (name) => models.findIndex((model) => model.n === name);
    const [i, ...others] = [state.ref, ...state.others].map(at);
    const main = models[i];
    const pairs = others.map((j) => matched(i, j));
    const most = Math.max(...models.flatMap((model) => model.t.map((topic) => topic.s ?? 0)), 1e-9);
    const bar_ = (share) => el("svg", { class: "share", "aria-hidden": "true", viewBox: "0 0 100 6", preserveAspectRatio: "none" },
      el("line", { x1: 0, x2: Math.max(1, 100 * (share ?? 0) / most), y1: 3, y2: 3 }));
    const order = main.t.map((_, k) => k).sort((a, b) => (main.t[b].s ?? 0) - (main.t[a].s ?? 0) || a - b);
    const body = el("tbody");
    for (const k of order) {
      const topic = main.t[k];
      const row = el("tr", { class: "topic", "data-topic": k });
      const button = el("button", { type: "button", class: "open", "aria-expanded": "false", on: { click: () => toggle(row, button, i, k) } },
        el("b", {}, `Topic ${k}`), ` ${topic.s === null ? "" : percent(topic.s)}`);
      row.append(el("th", { scope: "row" }, button, bar_(topic.s), words(main, topic)));
      others.forEach((j, n) => {
        const found = pairs[n].get(k);
        if (!found) { row.append(el("td", { class: "soft", "data-label": models[j].n }, "no topic with a word in common")); return; }
        const [other, overlap] = [models[j].t[found[0]], found[1]];
        row.append(el("td", { "data-label": models[j].n }, el("b", {}, `Topic ${found[0]}`), ` ${other.s === null ? "" : percent(other.s)} `,
          el("span", { class: "soft" }, `overlap ${overlap.toFixed(2)}`), bar_(other.s), words(models[j], other, new Set([...topic.w, ...topic.i]))));
      });
      body.append(row);
    }
    const heads = [main, ...others.map((j) => models[j])].map((model) => el("th", { scope: "col" },
      el("span", { class: `who ${model.kind ?? "unknown"}` }, model.n), " ", el("small", {}, [model.about, model.labels ? `labels: ${model.labels}` : null].filter(Boolean).join(" · "), " "),
      recordLink(model.key)));
    box.replaceChildren(drawMap(i, others), el("table", { class: "explore" },
      el("caption", {}, `Topics of ${main.n} on ${partName(state.part)}, seed ${state.part.seed}, largest first`),
      el("thead", {}, el("tr", {}, heads)), body));
    filter();
  };

  const drawMap = (i, others) => {
    const { models, map } = state.content;
    if (!map.length) {
      const n = models.reduce((sum, model) => sum + model.t.length, 0);
      return n > 3 ? el("p", { class: "soft" }, `No map: ${n} topics are too many for one that can be read.`) : "";
    }
    const svg = el("svg", { class: "map", viewBox: "-1.08 -1.08 2.16 2.16", role: "img", "aria-label": `A map of ${map.length} topics of ${models.length} models; the table below says the same in words` });
    const groups = models.map(() => el("g"));
    let n = 0;
    models.forEach((model, j) => {
      const place = [i, ...others].indexOf(j);
      model.t.forEach((topic, k) => {
        const [x, y] = map[n];
        n += 1;
        groups[j].append(el("circle", {
          cx: x, cy: -y, r: (0.012 + 0.05 * Math.sqrt(topic.s ?? 0)).toFixed(4), class: place < 0 ? "" : `p${place}`,
          on: { click: () => {
            if (place === 0) { one(`tr[data-topic="${k}"] button`, box).click(); return; }
            state.ref = model.n;
            open();
          } },
        }, el("title", {}, `${model.n}, topic ${k}: ${topic.w.slice(0, 5).join(", ")}`)));
      });
    });
    const front = [...groups.filter((_, j) => j !== i && !others.includes(j)), ...others.map((j) => groups[j]).reverse(), groups[i]];
    svg.append(...front);
    const about = el("p", { class: "near", "aria-hidden": "true" });
    svg.addEventListener("pointerover", (event) => { about.textContent = one("title", event.target)?.textContent ?? about.textContent; });
    const key = el("p", { class: "soft key" }, "Topics that share words lie near each other; the size is the share. Press one to go to it. ",
      [i, ...others].map((j, place) => el("span", { class: "entry" }, el("svg", { class: "map dot", viewBox: "0 0 10 10", "aria-hidden": "true" }, el("circle", { cx: 5, cy: 5, r: 4.2, class: `p${place}` })), ` ${models[j].n} `)));
    return el("figure", { class: "card mapped" }, svg, el("figcaption", {}, key, about));
  };

  const toggle = async (row, button, i, k) => {
    if (row.nextElementSibling?.classList.contains("detail")) {
      row.nextElementSibling.remove();
      button.setAttribute("aria-expanded", "false");
      return;
    }
    button.setAttribute("aria-expanded", "true");
    const cell = el("td", { colspan: row.cells.length });
    row.after(el("tr", { class: "detail" }, cell));
    cell.append(await detail(i, k));
  };

  const detail = async (i, k) => {
    const { models } = state.content;
    const model = models[i];
    const topic = model.t[k];
    const node = el("div", { class: "about-topic" });
    const line = (name, value) => node.append(el("p", {}, el("b", {}, `${name}: `), value));
    const extra = state.extra?.models?.[model.n]?.[k];
    if (model.kind === "features") node.append(await featureList(i, k, extra?.features ?? topic.i.map((label) => [null, label, null])));
    else line("Top words", topic.i.join(" · "));
    if (topic.w.length && topic.w.join() !== topic.i.join()) line("Projected words", topic.w.join(" · "));
    if (topic.y) line("Summary", topic.y);
    const near = models.map((other, j) => (j === i ? null : [other.n, matched(i, j).get(k), j])).filter((each) => each && each[1]);
    near.sort((a, b) => b[1][1] - a[1][1]);
    if (near.length) line("The same topic elsewhere", near.map(([name, [other, overlap]]) => `${name} ${other} (${overlap.toFixed(2)})`).join(", "));
    const texts = (await loadIf(partOf("texts", { corpus: state.part.corpus }))) ?? {};
    const documents = extra?.documents ?? (topic.d ?? []).map((id) => [id, null]);
    if (documents.length) {
      node.append(el("p", {}, el("b", {}, extra ? "Documents that load on it most" : "Documents that its summary is from")),
        el("ul", { class: "documents" }, documents.map(([id, share]) => el("li", {}, el("code", {}, id), share === null ? "" : ` ${percent(share, 0)}`,
          texts[id] ? el("blockquote", {}, texts[id].slice(0, 400) + (texts[id].length > 400 ? " …" : "")) : null))));
      if (state.extra?.why && documents.some(([id]) => !texts[id])) node.append(el("p", { class: "soft" }, state.extra.why));
    }
    if (!extra) node.append(el("p", { class: "soft" }, state.lost ? `The documents of every topic could not be loaded: ${state.lost} is not beside this page.` : "The documents of every topic are on the page of the run's own folder."));
    return node;
  };

  /* A topic's features, each of which opens; what is not known of one is said in a line. */
  const featureList = async (i, k, features) => {
    const model = state.content.models[i];
    const setting = board.models.find((each) => each.name === model.n)?.setting ?? null;
    const of = { corpus: state.part.corpus, setting };
    const parts = [partOf("features", of), partOf("contexts", of)];
    const [about, contexts] = await Promise.all(parts.map(loadIf));
    const missing = { about: lost(parts[0], about), contexts: lost(parts[1], contexts) };
    const list = el("ul", { class: "feature-list" });
    for (const [id, label, weight] of features) {
      const known = about?.features[id];
      const brief = [id === null ? null : `feature ${id}`, weight === null ? null : `weight ${weight.toFixed(4)}`,
        known?.d === undefined ? null : `in ${percent(known.d)} of documents`].filter(Boolean).join(" · ");
      const entry = el("li");
      const button = el("button", { type: "button", class: "open", "aria-expanded": "false", on: { click: () => {
        const shown = one(".about-feature", entry);
        shown?.remove();
        button.setAttribute("aria-expanded", String(!shown));
        if (!shown) entry.append(aboutFeature(i, k, id, label, known, about, contexts, missing));
      } } }, label);
      entry.append(button, brief ? el("small", {}, ` ${brief}`) : "");
      list.append(entry);
    }
    return el("div", {}, el("p", {}, el("b", {}, "Features"), el("small", {}, " strongest first; press one to see what is known of it")), list);
  };

  const aboutFeature = (i, k, id, label, known, about, contexts, missing) => {
    const { models } = state.content;
    const source = (name) => board.label_sources[name] ?? name ?? board.label_sources.elsewhere;
    // Of the fit's features some keep the SAE's own label where the corpus names the others.
    const ofFit = source(models[i].labels) + (models[i].labels === "corpus" ? ", else, where it fires at none or a judge scored its label, the SAE's own" : "");
    const list = el("dl");
    const line = (name, ...value) => list.append(el("dt", {}, name), el("dd", {}, ...value));
    line("Label", label, el("small", {}, ` from ${known ? source(known.f) : ofFit}`));
    const own = known?.o;
    if (own !== undefined && own !== label) line("The SAE's own label", own);
    if (known) line("Score", known.s === undefined ? about.why.score ?? "no judge scored its label" : `${known.s.toFixed(3)}, of ${own === undefined || own === label ? "this label" : "the SAE's own label"}, by a judge (1: fires just where the label says, 0.5: chance)`);
    if (known?.d !== undefined) line("Density", `${percent(known.d)} of the documents, ${percent(known.t, 3)} of the tokens`);
    const same = models.flatMap((model) => (model.kind === "features" ? model.t.flatMap((topic, n) => (topic.i.includes(label) && !(model === models[i] && n === k) ? [`${model.n} ${n}`] : [])) : []));
    line("Topics with a feature of that label", same.length ? same.slice(0, 12).join(", ") + (same.length > 12 ? ` and ${same.length - 12} more` : "") : "this one alone");
    const places = contexts?.[id] ?? [];
    const node = el("div", { class: "about-feature" }, list);
    if (places.length) {
      node.append(el("p", {}, el("b", {}, "Where it fires"), el("small", {}, " strongest first, one document each; marked is the token")),
        el("ul", { class: "contexts" }, places.map(([document, before, token, behind]) => el("li", {}, el("blockquote", {}, before, el("mark", {}, token), behind), el("code", {}, document)))));
    }
    const why = [about?.why.density];
    const unknown = missing.about ?? (id === null ? state.lost : null);  // numbers stand beside documents
    if (unknown) why.push(`Its score and density could not be loaded: ${unknown} is not beside this page.`);
    else if (!about) why.push("Records name a topic's features by their labels alone: number, score, density and contexts are on the page of the run's own folder.");
    if (missing.contexts) why.push(`Contexts could not be loaded: ${missing.contexts} is not beside this page.`);
    else if (about?.why.contexts) why.push(`No contexts: ${about.why.contexts}.`);
    else if (known && !places.length) why.push("No contexts: it fires nowhere in the texts that were read.");
    node.append(...[...new Set(why)].filter(Boolean).map((text) => el("p", { class: "soft" }, text)));
    return node;
  };

  await open();
};
