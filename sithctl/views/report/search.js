// The search for concepts across all heads.

let found = [];
let visible = MANY;

/** Words from their start; a script that sets no spaces between words, anywhere in the text. */
function asPattern(query, whole) {
  const terms = query.split(",").map((term) => term.trim()).filter(Boolean);
  if (!terms.length) return null;
  const unspaced = /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Thai}\p{Script=Lao}\p{Script=Khmer}]/u;
  const parts = terms.map((term) => {
    const exact = term.replace(/[\\^$.*+?()[\]{}|/]/g, "\\$&");
    if (unspaced.test(term)) return exact;
    return `(?<![\\p{L}\\p{N}])${exact}${whole ? "(?![\\p{L}\\p{N}])" : ""}`;
  });
  return new RegExp(parts.join("|"), "giu");
}

/** A label's text with what the search found in it marked. */
function marked(text) {
  if (!pattern) return [text];
  const parts = [];
  let from = 0;
  for (const match of text.matchAll(pattern)) {
    parts.push(text.slice(from, match.index), el("mark", {}, match[0]));
    from = match.index + match[0].length;
  }
  return [...parts, text.slice(from)];
}

const RANKS = {
  weight: (result) => -result.share || 0, // as `find` has it
  energy: (result) => -result.row.head.share * result.row.energy,
  fidelity: (result) => -(result.row.fidelity ?? -1),
  place: () => 0,
};

function matching(side) {
  const columns = [side.concepts.label, side.concepts.means, side.concepts.image, side.concepts.detail].filter(Boolean);
  const matches = side.concepts.label.map((_, at) => columns.some((column) => column[at] && column[at].search(pattern) >= 0));
  return side.heads.flatMap((head) => head.vectors.flatMap((row) => {
    const concepts = row.concepts.filter((one) => matches[one.at]);
    const share = sum(concepts.map((one) => one.weight)) / sum(row.concepts.map((one) => one.weight));
    return concepts.length ? [{ row, concepts, share }] : [];
  }));
}

function search() {
  const query = byId("query").value.trim();
  const before = pattern;
  pattern = asPattern(query, byId("whole").checked);
  const by = byId("ranking").value;
  const order = by === "weight" ? ["weight", "fidelity"] : [by]; // ties of weight as `find` has them
  found = pattern ? DATA.sides.flatMap(matching).sort((a, b) => order.reduce((least, name) => least || RANKS[name](a) - RANKS[name](b), 0)) : [];
  hits = new Map();
  for (const { row, share } of found) {
    const { count, share: before } = hits.get(row.head) ?? { count: 0, share: 0 };
    hits.set(row.head, { count: count + 1, share: before + (share * row.energy) / row.head.side.poles });
  }
  visible = MANY;
  byId("found").textContent = !pattern ? "" : found.length
    ? `${plural(found.length, "explanation")} in ${plural(hits.size, "head")}`
    : `Nothing here is explained by “${query}”`;
  choose(pattern && !before ? "search" : !pattern && measure === "search" ? "energy" : measure);
  fillResults();
  if (current) fillCard();
}

function fillResults() {
  byId("results").replaceChildren(...found.slice(0, visible).map(result));
  byId("more").hidden = found.length <= visible;
}

function result({ row, concepts }) {
  const { head, sv } = row;
  const about = [row.fidelity === null ? null : `fidelity ${decimal(row.fidelity)}`, row.grade && `grade ${row.grade}`];
  return el("li", {},
    el("div", { class: "where" },
      el("span", {}, badge(head.side), " ", el("a", { href: `#${head.id}-sv-${sv}` }, `layer ${head.layer} · head ${head.head} · sv ${sv} ${sign(row.pole)}`)),
      el("span", { class: "figure" }, about.filter(Boolean).join(" · "))),
    el("ul", { class: row.pole === "-" ? "pole minus" : "pole plus" }, concepts.map((one) => concept(row, one))));
}

function startSearch() {
  let timer = 0;
  byId("query").addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(search, 120);
  });
  byId("query").addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    byId("query").value = "";
    search();
  });
  for (const id of ["whole", "ranking"]) byId(id).addEventListener("change", search);
  byId("more").addEventListener("click", () => {
    const before = visible;
    visible += MANY;
    fillResults();
    byId("results").children[before]?.querySelector("a").focus();
  });
  for (const id of ["search", "filters"]) byId(id).addEventListener("submit", (event) => event.preventDefault());
  byId("filters").addEventListener("input", () => fillCard((wantedVector = null)));
}
