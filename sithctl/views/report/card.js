// The card of a head: its figures, its spectrum, its vectors with both poles.

let wantedVector = null;

function openCard(id, sv) {
  current = id;
  wantedVector = sv;
  const heads = DATA.sides.map((side) => side.at.get(id) ?? null);
  const { layer, head } = heads.find((one) => one);
  byId("card-title").textContent = `Layer ${layer} · head ${head}`;
  const i = ORDER.indexOf(id);
  for (const [name, to] of [["previous", ORDER[i - 1]], ["next", ORDER[i + 1]]]) {
    if (to) byId(name).href = `#${to}`;
    else byId(name).removeAttribute("href");
  }
  byId("figures").replaceChildren(...heads.map(figures));
  paint();
  fillCard();
}

function badge(side) {
  return compared ? el("span", { class: "badge" }, side.letter) : null;
}

function figures(head, index) {
  if (!head) return el("div", { class: "side" }, badge(DATA.sides[index]), " has no such head here.");
  const pairs = Object.values(MEASURES)
    .filter((one) => one !== MEASURES.search && one.of(head) !== null)
    .map(({ name, of, text }) => el("div", {}, el("dt", {}, name), el("dd", {}, text(of(head)))));
  const about = el("div", { class: "about-head" }, badge(head.side), el("dl", { class: "figures" }, pairs));
  return el("div", { class: "side" }, about, spectrum(head));
}

function spectrum(head) {
  const explained = new Set(head.vectors.map((row) => row.sv));
  const top = Math.max(...head.sigma);
  const bars = head.sigma.map((sigma, sv) => {
    const title = `sv ${sv}: σ ${sigma.toPrecision(3)}, ${percent(sigma ** 2 / head.energy || 0)}`;
    const to = explained.has(sv) ? `#${head.id}-sv-${sv}` : null;
    const bar = sized(el("i"), sigma / top || 0);
    return el("a", { href: to, class: to ? null : "hidden", title, tabindex: "-1" }, bar);
  });
  const said = `Spectrum: ${plural(head.sigma.length, "singular value")} from ${top.toPrecision(3)} to ${Math.min(...head.sigma).toPrecision(3)}`;
  return el("div", { role: "img", "aria-label": said }, el("div", { class: "spectrum", "aria-hidden": "true" }, bars));
}

const SORTS = {
  sigma: (row) => row.sv,
  fidelity: (row) => -(row.fidelity ?? -1),
  coherence: (row) => -(row.coherence ?? -1),
  grade: (row) => row.grade ?? "Z",
  concept: (row) => label(row, 0).toLocaleLowerCase(),
};

const label = (row, i) => (row.concepts[i] ? row.head.side.concepts.label[row.concepts[i].at] : "\uffff");

function passes(row, form) {
  const least = Number(form.fidelity);
  if (form.pole && row.pole !== form.pole) return false;
  if (form.grade && !(row.grade <= form.grade)) return false;
  if (least > 0 && !(row.fidelity >= least)) return false;
  return !(form.distinct && row.degenerate);
}

function fillCard() {
  const form = Object.fromEntries(new FormData(byId("filters")));
  byId("filters").querySelector("output").textContent = Number(form.fidelity).toFixed(2);
  const heads = DATA.sides.map((side) => side.at.get(current) ?? null);
  const rows = heads.flatMap((head) => (head ? head.vectors : []));
  const left = rows.filter((row) => row.sv === wantedVector || passes(row, form));
  const best = new Map(); // a vector stands where the best of its explanations puts it
  for (const row of left) {
    const value = SORTS[form.sort](row);
    if (!best.has(row.sv) || value < best.get(row.sv)) best.set(row.sv, value);
  }
  const order = [...best].sort(([i, a], [j, b]) => (a < b ? -1 : a > b ? 1 : i - j)).map(([sv]) => sv);
  const all = new Set(rows.map((row) => row.sv)).size;
  byId("shown").textContent = order.length < all ? `${order.length} of ${plural(all, "vector")} shown` : plural(all, "vector");
  const kept = new Set(left);
  byId("vectors").replaceChildren(...order.map((sv) => vector(sv, heads, kept)));
}

function vector(sv, heads, kept) {
  const id = `${current}-sv-${sv}`;
  const halves = heads.map((head, index) => {
    const rows = head ? head.vectors.filter((row) => row.sv === sv && kept.has(row)) : [];
    if (!rows.length) return el("div", { class: "side quiet" }, badge(DATA.sides[index]), " –");
    const about = el("div", { class: "vector-top" }, compared ? badge(head.side) : title(id, sv),
      el("span", { class: "figure" }, `σ ${head.sigma[sv].toPrecision(3)}`),
      el("span", { class: "figure" }, `${percent(rows[0].energy)} of the head`),
      rows[0].degenerate ? el("span", { class: "flag", title: "a neighbour's σ is too near to tell the two apart" }, "≈ degenerate") : null);
    return el("div", { class: "side" }, about, el("div", { class: "poles" }, rows.map(pole)));
  });
  const item = el("li", { id, tabindex: "-1", class: sv === wantedVector ? "wanted" : null });
  item.append(compared ? title(id, sv) : "", el("div", { class: "sides" }, halves));
  return item;
}

const title = (id, sv) => el("h3", {}, el("a", { href: `#${id}` }, `sv ${sv}`));

function pole(row) {
  const known = row.residual !== null ? `residual ${decimal(row.residual)} of ${decimal(row.ceiling)}` : null;
  const why = row.reasons?.length ? `: ${row.reasons.join(", ")}` : "";
  const heading = el("h4", {},
    el("span", { class: "sign", "aria-label": row.pole === "-" ? "minus pole" : "plus pole", role: "img" }, sign(row.pole)),
    row.fidelity === null ? null : el("span", {}, `fidelity ${decimal(row.fidelity)}`),
    known && el("span", {}, known),
    row.grade ? el("span", {}, el("span", { class: "grade" }, `grade ${row.grade}`), why) : null);
  const concepts = row.concepts.length
    ? el("ul", {}, row.concepts.map((one) => concept(row, one)))
    : el("p", { class: "quiet" }, "no concept has a positive weight");
  return el("div", { class: `pole ${row.pole === "-" ? "minus" : "plus"}` }, heading, concepts);
}

function concept(row, { at, weight }) {
  const { concepts, largest } = row.head.side;
  const picture = concepts.picture?.[at] ?? null;
  const beside = [concepts.image?.[at], concepts.detail?.[at], picture === null ? concepts.means?.[at] : null];
  const text = el("span", { class: "label" }, el("bdi", {}, marked(concepts.label[at])),
    beside.filter(Boolean).map((more) => el("bdi", { class: "beside", title: more }, marked(more))));
  return el("li", { class: picture === null ? "concept" : "concept pictured" },
    el("span", { "aria-hidden": "true" }, sized(el("span", { class: "bar" }), weight / largest)),
    el("span", { class: "weight" }, weight.toFixed(2)),
    picture === null ? null : el("img", { src: `data:image/jpeg;base64,${DATA.pictures[picture]}`, alt: "", width: 56, height: 56, loading: "lazy" }),
    text);
}
