// The map of layers and heads: a grid that the arrow keys move in.

const MEASURES = {
  energy: { name: "σ energy", of: (head) => head.share, text: percent, zero: true,
    about: "Σσ² of a head, as a share of all heads of these codes." },
  layer: { name: "in its layer", of: (head) => head.shareOfLayer, text: percent, zero: true,
    about: "Σσ² of a head, as a share of its layer." },
  fidelity: { name: "fidelity", of: (head) => head.fidelity, text: decimal,
    about: "How well concepts reconstruct a head's vectors: mean cosine, weighted by σ²." },
  coherence: { name: "coherence", of: (head) => head.coherence, text: decimal,
    about: "How alike an explanation's concepts are: mean pairwise cosine, weighted by σ²." },
  grade: { name: "trust", of: (head) => head.trusted, text: percent, zero: true,
    about: "The share of a head's σ² explained with grade A or B." },
  search: { name: "search", of: (head) => hits.get(head)?.share ?? 0, text: percent, zero: true,
    about: "How much of a head is what you search for: the share of its weights, by σ²." },
};

let measure = "energy";
let hits = new Map(); // a head → count of explanations that the search found, and their share of it
let pattern = null; // of the search; null when there is none
let current = null; // id of the head whose card is open

function startMap() {
  if (!graded) delete MEASURES.grade;
  for (const [key, { name, of }] of Object.entries(MEASURES)) {
    if (everywhere(of).every((value) => value === null)) continue;
    const input = el("input", { type: "radio", name: "measure", value: key });
    input.addEventListener("change", () => choose(key));
    byId("measures").append(el("label", {}, input, name));
  }
  byId("maps").append(...DATA.sides.map(grid));
  byId("change")?.addEventListener("change", paint);
  choose(measure);
}

function choose(key) {
  measure = key;
  byId("measures").querySelector(`[value="${key}"]`).checked = true;
  byId("measures").querySelector('[value="search"]').parentElement.hidden = !pattern;
  paint();
}

function grid(side) {
  const caption = compared ? el("b", { class: "badge" }, side.letter) : null;
  const title = `${side.name}${side.source ? ` (${side.source})` : ""}: layers down, heads across`;
  const table = el("table", { class: "map", role: "grid", "aria-label": title },
    caption && el("caption", {}, caption, " ", el("bdi", {}, side.source ?? side.name)),
    el("thead", {}, el("tr", { role: "row" }, el("td", { class: "corner" }),
      HEADS.map((head) => el("th", { scope: "col", role: "columnheader", "aria-label": `head ${head}` }, `${head}`)))),
    el("tbody", {}, LAYERS.map((layer) => el("tr", { role: "row" },
      el("th", { scope: "row", role: "rowheader", "aria-label": `layer ${layer}` }, `${layer}`),
      HEADS.map((head) => cell(side.at.get(place(layer, head))))))));
  table.style.setProperty("--heads", HEADS.length);
  table.querySelector("a")?.setAttribute("tabindex", "0");
  table.addEventListener("keydown", moveInGrid);
  return el("div", { class: "scroll" }, table);
}

function cell(head) {
  if (!head) return el("td", { role: "gridcell" });
  head.link = el("a", { href: `#${head.id}`, tabindex: "-1" });
  return el("td", { role: "gridcell" }, head.link);
}

function paint() {
  const { name, of, text, zero, about } = MEASURES[measure];
  const known = everywhere(of).filter((value) => value !== null);
  const low = zero ? 0 : Math.min(...known);
  const high = Math.max(...known);
  const changed = changes(of);
  const most = Math.max(...[...changed.values()].map(Math.abs)) || 1;
  byId("about").textContent = about;
  for (const head of everywhere((one) => one)) {
    const value = of(head);
    const step = Math.min(STEPS - 1, Math.floor(((value - low) / (high - low || 1)) * STEPS));
    const change = changed.get(head);
    const moved = change === undefined ? "" : (change < 0 ? MINUS : "+") + text(Math.abs(change));
    colour(head.link, "heat", value === null || moved ? null : step);
    colour(head.link, "change", moved ? Math.round((3 * change) / most) : null);
    head.link.textContent = value === null ? "–" : brief(moved || text(value));
    const said = value === null ? "unknown" : text(value) + (moved && `, change ${moved}`);
    const count = pattern ? `, found in ${plural(hits.get(head)?.count ?? 0, "explanation")}` : "";
    head.link.setAttribute("aria-label", `layer ${head.layer} head ${head.head}: ${name} ${said}${count}`);
    if (head.id === current) head.link.setAttribute("aria-current", "true");
    else head.link.removeAttribute("aria-current");
  }
  const scale = [...Array(STEPS).keys()].map((step) => el("i", { "data-heat": step }));
  byId("legend").replaceChildren(text(low), el("span", { "aria-hidden": "true" }, scale), text(high));
}

function colour(link, scale, step) {
  if (step === null) delete link.dataset[scale];
  else link.dataset[scale] = step;
}

/** What has changed from A to B, where that is asked for and both are known. */
function changes(of) {
  const changed = new Map();
  for (const head of byId("change")?.checked ? DATA.sides[1].heads : []) {
    const before = DATA.sides[0].at.get(head.id);
    if (before && of(before) !== null && of(head) !== null) changed.set(head, of(head) - of(before));
  }
  return changed;
}

/** Arrow keys, Home and End in a map; one cell at a time is a stop of the Tab key. */
function moveInGrid(event) {
  const steps = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0], Home: [0, -Infinity], End: [0, Infinity] };
  const step = steps[event.key];
  const from = event.target.closest("td");
  if (!step || !from) return;
  event.preventDefault();
  const rows = [...event.currentTarget.tBodies[0].rows].map((row) => [...row.cells].slice(1));
  let y = rows.findIndex((row) => row.includes(from));
  let x = rows[y].indexOf(from);
  if (Math.abs(step[1]) === Infinity) {
    const filled = rows[y].filter((one) => one.firstChild);
    return stop(event.currentTarget, filled.at(step[1] < 0 ? 0 : -1));
  }
  do { // over positions that have no head
    y += step[0];
    x += step[1];
  } while (rows[y]?.[x] && !rows[y][x].firstChild);
  if (rows[y]?.[x]) stop(event.currentTarget, rows[y][x]);
}

function stop(table, td) {
  table.querySelector('a[tabindex="0"]').setAttribute("tabindex", "-1");
  td.firstChild.setAttribute("tabindex", "0");
  td.firstChild.focus();
}
