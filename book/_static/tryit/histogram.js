/* Scores of the book's drawings with a cut that the reader moves, and the place of other pictures among them. */

import "../rates.js";
import { make, several, shown } from "./elements.js";

const { below, keeping, catching, range, shares, outline, percent } = globalThis.oodlibRates;
const BINS = 40;
const STEPS = 1000; // of the slider

function drawn(kind, className, attributes) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", kind);
  const all = { class: className, "vector-effect": "non-scaling-stroke", ...attributes };
  for (const [name, value] of Object.entries(all)) element.setAttribute(name, value);
  return element;
}

/** The drawings to compare with: their scores, rising, the range of all, and the outlines of both histograms. */
export function compared({ id, far }) {
  const sets = [id, far].map((scores) => Float32Array.from(scores).sort());
  const ends = range(sets);
  const heights = sets.map((rising) => (rising.length ? shares(rising, ends, BINS) : []));
  const top = Math.max(...heights.flat());
  const paths = heights.map((of) => (of.length ? outline(of, top) : ""));
  return { inside: sets[0], outside: sets[1], ends, paths };
}

/** Draw both histograms, the cut, and a dotted line for each score of `marks`. */
export function draw(svg, { ends: [low, high], paths }, cut, marks) {
  const at = (score) => Math.min(99.5, Math.max(0.5, (100 * (score - low)) / (high - low)));
  const upright = (score, className) => drawn("line", className, { x1: at(score), x2: at(score), y1: 0, y2: 100 });
  svg.replaceChildren(
    drawn("path", "tryit-area", { d: paths[0] }),
    drawn("path", "tryit-outline", { d: paths[1] }),
    ...marks.map((score) => upright(score, score >= cut ? "tryit-mark tryit-in" : "tryit-mark tryit-out")),
    upright(cut, "tryit-line"),
  );
}

/**
 * The panel of the cut.
 *
 * @param {Element} root
 * @param {(cut: number) => void} moved  called with the cut whenever the reader has moved it
 * @returns the functions `read(label, reference, cut)` and `mark(scores)`
 */
export function startCut(root, moved) {
  const part = (name) => root.querySelector(`.tryit-${name}`);
  const slider = part("slider");
  let [reference, cut, label, marks] = [null, 0, "", []];

  function count(name, k, n) {
    part(name).replaceChildren(...(n ? [make("b", {}, percent(k, n)), ` (${k} of ${n})`] : ["–"]));
    return n ? percent(k, n) : "–";
  }

  function show() {
    const { inside, outside, ends } = reference;
    const [n, m] = [inside.length, outside.length];
    const [rejected, caught] = [below(inside, cut), below(outside, cut)];
    const kept = count("kept", n - rejected, n);
    const accepted = count("accepted", m - caught, m);
    count("caught", caught, m);
    count("rejected", rejected, n);
    slider.value = Math.round((STEPS * (cut - ends[0])) / (ends[1] - ends[0]));
    const value = `cut ${shown(cut)}`;
    part("value").textContent = value;
    const own = `${marks.filter((score) => score >= cut).length} of ${marks.length}`;
    part("own").replaceChildren(make("b", {}, own));
    const rates = `${kept} of ID kept, ${accepted} of OOD accepted, ${own} of your pictures in`;
    slider.setAttribute("aria-valuetext", `${value}: ${rates}`);
    const said = `Histograms of ${label}, ID and far drawings, with the ${value}; of your pictures ${own} are in`;
    part("histogram").setAttribute("aria-label", said);
    draw(part("histogram"), reference, cut, marks);
  }

  function move(to) {
    cut = Math.min(reference.ends[1], Math.max(reference.ends[0], to));
    show();
    moved(cut);
  }

  slider.addEventListener("input", () => {
    const [low, high] = reference.ends;
    move(low + ((high - low) * slider.value) / STEPS);
  });
  part("keep").addEventListener("click", () => move(keeping(reference.inside)));
  part("catch").addEventListener("click", () => move(catching(reference.inside, reference.outside)));

  return {
    /** Show the scores of a detector. */
    read(name, scores, at) {
      [label, reference, cut] = [name, scores, at];
      const [n, m] = [scores.inside.length, scores.outside.length];
      part("keep").disabled = !n;
      part("catch").disabled = !m;
      const few = n ? `${several(n, "drawing")} of your names` : "no drawing, because it has none of your names";
      part("compared").textContent = `Counted on the book's own drawings: ID ${few}, far ${several(m, "drawing")}.`;
      show();
    },
    /** Show where pictures lie. */
    mark(scores) {
      marks = scores;
      if (reference) show();
    },
  };
}
