"use strict";
// What the other parts share: the data, and elements made of it. Texts reach the page as text nodes
// and attributes alone, never as markup; sizes go through custom properties, since the page's policy
// allows no style attribute.

const DATA = JSON.parse(document.getElementById("data").textContent);
const MANY = 50; // search results at a time
const STEPS = 8; // of the colour scale
const MINUS = "−";

const byId = (id) => document.getElementById(id);

/** An element with attributes (null and false are left out) and children, strings being text. */
function el(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== null && value !== undefined && value !== false) node.setAttribute(name, value);
  }
  node.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return node;
}

function sized(node, share) {
  node.style.setProperty("--share", Math.max(0, Math.min(1, share)).toFixed(4));
  return node;
}

const decimal = (value) =>
  value === null || value === undefined ? "–" : value.toFixed(2).replace("-", MINUS);
const percent = (value) => `${(100 * value).toFixed(value && value < 0.0995 ? 1 : 0)}%`;
const plural = (count, noun) => `${count} ${noun}${count === 1 ? "" : "s"}`;
const sum = (values) => values.reduce((total, value) => total + value, 0);
const brief = (text) => (text.endsWith("%") ? text.slice(0, -1) : text.replace(/^([−+]?)0\./, "$1."));
const sign = (pole) => (pole === "-" ? MINUS : "+");
const compared = DATA.sides.length > 1;

const place = (layer, head) => `layer-${layer}-head-${head}`;

/** Rows of numbers as objects with names. */
function unpack(side, index) {
  side.at = new Map();
  side.letter = "AB"[index];
  side.largest = 0;
  side.poles = new Set(side.heads.flatMap((head) => head.vectors.map((row) => row[1]))).size;
  for (const head of side.heads) {
    head.side = side;
    head.id = place(head.layer, head.head);
    const alike = new Set(head.degenerate);
    head.vectors = head.vectors.map((row) => {
      const [sv, pole, fidelity, residual, ceiling, coherence, flat, grade, reasons] = row;
      const concepts = [];
      for (let i = 0; i < flat.length; i += 2) concepts.push({ at: flat[i], weight: flat[i + 1] });
      side.largest = Math.max(side.largest, ...concepts.map((concept) => concept.weight));
      const energy = head.sigma[sv] ** 2 / head.energy || 0;
      const facts = { sv, pole, fidelity, residual, ceiling, coherence, grade, reasons };
      return { ...facts, head, energy, concepts, degenerate: alike.has(sv) };
    });
    side.at.set(head.id, head);
  }
}
DATA.sides.forEach(unpack);
const graded = DATA.sides.some((side) => side.graded);
document.body.classList.toggle("has-grades", graded);
const everywhere = (pick) => DATA.sides.flatMap((side) => side.heads.map(pick));
const LAYERS = [...new Set(everywhere((head) => head.layer))].sort((a, b) => a - b);
const HEADS = [...new Set(everywhere((head) => head.head))].sort((a, b) => a - b);
const ORDER = LAYERS.flatMap((layer) => HEADS.map((head) => place(layer, head))).filter((id) =>
  DATA.sides.some((side) => side.at.has(id)),
);
