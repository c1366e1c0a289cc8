/* What was decided about one picture, and why: a card that is filled when there is something to say. */

import { make, shown } from "./elements.js";
import { draw } from "./histogram.js";

const SIDE = 96; // pixels of the small picture
const MOST = 5; // names, and words

/** A picture made small, on white. */
function small(bitmap) {
  const canvas = make("canvas", { width: SIDE, height: SIDE });
  const pen = canvas.getContext("2d");
  const scale = Math.min(SIDE / bitmap.width, SIDE / bitmap.height);
  const [width, height] = [bitmap.width, bitmap.height].map((side) => Math.max(1, side * scale));
  pen.fillStyle = "white";
  pen.fillRect(0, 0, SIDE, SIDE);
  pen.imageSmoothingQuality = "high";
  pen.drawImage(bitmap, (SIDE - width) / 2, (SIDE - height) / 2, width, height);
  return canvas;
}

/** A titled list with bars: rows of a text, a share from 0 to 1, and what stands behind the bar. */
function bars(title, rows) {
  const items = rows.map(([text, share, value]) => {
    const bar = make("span", { className: "tryit-bar", "aria-hidden": "true" });
    bar.style.setProperty("--share", Math.min(1, Math.max(0, share)));
    return make("li", {}, make("span", { dir: "auto", textContent: text }), make("span", {}, value), bar);
  });
  return make("div", {}, make("p", {}, title), make("ol", {}, ...items));
}

const percent = (share) => (share < 0.005 ? "<\u20091\u00a0%" : `${(100 * share).toFixed(0)}\u00a0%`);

/** The names that fit best, and the outlier words: with their shares beside the names', or the nearest of them. */
function lists({ names, words }) {
  const told = names.slice(0, MOST).map(({ name, p }) => [name, p, percent(p)]);
  const found = [bars("Names", told)];
  const taking = words.filter(({ weight }) => weight > 0).slice(0, MOST);
  if (taking.length) {
    const shares = taking.map(({ word, weight }) => [word, weight, percent(weight)]);
    found.push(bars("Outlier words", shares));
  } else if (words.length) {
    const near = words.slice(0, MOST).map(({ word, cosine }) => [word, cosine, shown(cosine)]);
    found.push(bars("Nearest words, not used (cosine)", near));
  }
  return make("div", { className: "tryit-lists" }, ...found);
}

/** Why a picture is in or out, in a sentence. */
function because({ names, pulledBy }, isIn) {
  const best = names[0].name;
  if (pulledBy && isIn) return `“${pulledBy}” fits better than the names, but does not pull it below this cut.`;
  if (pulledBy) return `“${pulledBy}” pulled it out: outlier words fit better than the names, and this one best.`;
  return isIn ? `“${best}” fits best, and well enough.` : `“${best}” fits best, but not well enough.`;
}

/** One card; `remove` is called when the reader takes it away. */
export class PictureCard {
  constructor(title, remove) {
    this.title = title;
    this.features = null;
    this.place = make("div", { className: "tryit-picture" });
    this.verdict = make("div");
    this.body = make("div", { className: "tryit-told" });
    const cross = make("button", { type: "button", "aria-label": `Remove ${title}`, onclick: () => remove(this) }, "×");
    this.element = make(
      "li",
      { className: "tryit-card" },
      this.place,
      make("div", {}, make("h3", { dir: "auto", textContent: title }), this.verdict),
      cross,
      this.body,
    );
    this.say("wait", "Waiting.");
  }

  /** A sentence in place of a decision. */
  say(state, text) {
    this.element.dataset.state = state;
    this.verdict.replaceChildren(make("p", { textContent: text }));
    this.body.replaceChildren();
  }

  /** The picture is there. */
  picture(bitmap) {
    this.place.replaceChildren(small(bitmap));
  }

  /** Show a reading of the picture's features, at a cut, among the drawings of the book. */
  read(reading, label, cut, reference) {
    this.score = reading.score;
    this.reading = reading;
    this.label = label;
    this.reference = reference;
    this.lists = lists(reading);
    this.cut(cut);
  }

  /** Decide again, at another cut; gives "in" or "out". */
  cut(cut) {
    const isIn = this.score >= cut;
    const [state, side] = isIn ? ["in", "at or above"] : ["out", "below"];
    const paper = this.reading.shown === this.score ? "" : ` as log-odds, ${this.label} ${shown(this.reading.shown)}`;
    const told = `: score ${shown(this.score)}${paper}; ${side} the cut ${shown(cut)}.`;
    const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    const given = { class: "tryit-small", role: "img", preserveAspectRatio: "none", viewBox: "0 0 100 100" };
    for (const [name, value] of Object.entries(given)) svg.setAttribute(name, value);
    svg.setAttribute("aria-label", `Place of the picture among the book's drawings: ${side} the cut`);
    draw(svg, this.reference, cut, [this.score]);
    this.element.dataset.state = state;
    this.verdict.replaceChildren(
      make("p", { className: "tryit-verdict" }, make("strong", {}, isIn ? "In" : "Out"), told),
      make("p", { textContent: because(this.reading, isIn) }),
    );
    this.body.replaceChildren(svg, this.lists);
    return state;
  }
}
