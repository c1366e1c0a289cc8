/* A cut that the reader moves over kept scores: histogram, point on the ROC curve, counts, and the pictures beside it.
 *
 * The scores stand in window.oodlibCuts (cut/NAME.js, written by oodlib.report.moving_cut), small pictures on one sheet
 * beside them; rates.js counts. Nothing is rounded but on the way to the page. Nothing is fetched, so that this also
 * works from disk.
 */
(() => {
  "use strict";
  const { below, keeping, catching, curve, range, shares, outline, percent } = window.oodlibRates;
  const STEPS = 1000; // of the slider
  const BINS = 40;
  const BESIDE = 6; // pictures on either side of the cut
  const SHOWN = 48; // CSS pixels of a picture

  const decoded = (text) => new Float32Array(Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0)).buffer);

  /* Drawing ------------------------------------------------------------------------------------------------------ */

  function drawn(kind, className, attributes) {
    const element = document.createElementNS("http://www.w3.org/2000/svg", kind);
    element.setAttribute("class", className);
    element.setAttribute("vector-effect", "non-scaling-stroke");
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
    return element;
  }

  const text = (kind, textContent, className = "") =>
    Object.assign(document.createElement(kind), { textContent, className });

  /* One moving cut ----------------------------------------------------------------------------------------------- */

  function start(root, data) {
    const part = (name) => root.querySelector(`.cut-${name}`);
    const [detector, chosen, slider] = ["detector", "set", "slider"].map(part);
    const first = data.sets.map((_, k) => data.sets.slice(0, k).reduce((sum, one) => sum + one.shown.length, 0));
    let scores; // of the detector, one array a set, in the order of the pictures
    let inside, outside; // the same, rising: of the ID set, of the chosen OOD set
    let [low, high, cut, before] = [0, 1, 0, 0];
    let [line, point] = [null, null];

    /** Take the scores of another detector, and the cut that keeps 95 % of ID. */
    function read() {
      scores = data.detectors[detector.value].scores.map(decoded);
      [low, high] = range(scores.map((part) => part.slice().sort()));
      inside = scores[0].slice().sort();
      cut = keeping(inside);
      compare();
    }

    /** Draw ID against another OOD set. */
    function compare() {
      outside = scores[Number(chosen.value)].slice().sort();
      const heights = [inside, outside].map((rising) => shares(rising, [low, high], BINS));
      const top = Math.max(...heights.flat());
      line = drawn("line", "cut-line", { y1: 0, y2: 100 });
      part("histogram").setAttribute("viewBox", "0 0 100 100");
      part("histogram").replaceChildren(
        drawn("path", "cut-area", { d: outline(heights[0], top) }),
        drawn("path", "cut-outline", { d: outline(heights[1], top) }),
        line,
      );
      const corners = curve(inside, outside).map(([x, y]) => `${100 * x},${100 - 100 * y}`);
      point = drawn("circle", "cut-point", { r: 3 });
      part("roc").setAttribute("viewBox", "-3 -3 106 106");
      part("roc").replaceChildren(
        drawn("rect", "cut-frame", { width: 100, height: 100 }),
        drawn("path", "cut-dashed", { d: "M0,5H100" }),
        drawn("path", "cut-dotted", { d: "M5,0V100" }),
        drawn("polyline", "cut-roc-line", { points: corners.join(" ") }),
        point,
      );
      before = cut;
      part("moved").textContent = "Move the cut, and pictures change sides.";
      show();
    }

    /** A small picture with its name, what it is, and whether the cut is right about it. */
    function card({ set, k, score }) {
      const { shown, names } = data.sets[set];
      const right = (score >= cut) === (set === 0);
      const item = text("li", "", right ? "cut-right" : "cut-wrong");
      const picture = text("div", "", set === 0 ? "cut-picture cut-is-in" : "cut-picture cut-is-out");
      const cell = first[set] + k;
      Object.assign(picture.style, {
        backgroundImage: `url("../_static/cut/${root.dataset.name}.webp")`,
        backgroundSize: `${SHOWN * data.columns}px ${SHOWN * data.rows}px`,
        backgroundPosition: `${-SHOWN * (cell % data.columns)}px ${-SHOWN * Math.floor(cell / data.columns)}px`,
      });
      const said = `${set === 0 ? "ID" : "OOD"}, ${right ? "right" : "wrong"}`;
      item.append(picture, text("span", names[k]), text("span", said, "cut-said"));
      item.dataset.picture = shown[k];
      return item;
    }

    function showPictures() {
      const seen = [0, Number(chosen.value)]
        .flatMap((set) => data.sets[set].shown.map((i, k) => ({ set, k, score: scores[set][i] })))
        .sort((a, b) => a.score - b.score);
      const passing = seen.findIndex(({ score }) => score >= cut);
      const at = passing < 0 ? seen.length : passing;
      part("below").replaceChildren(...seen.slice(Math.max(0, at - BESIDE), at).map(card));
      part("above").replaceChildren(...seen.slice(at, at + BESIDE).map(card));
    }

    /** What is counted at this cut. */
    function show() {
      const [n, m] = [inside.length, outside.length];
      const [rejected, caught] = [below(inside, cut), below(outside, cut)];
      const [kept, accepted] = [n - rejected, m - caught];
      const told = { kept: [kept, n, "ID kept"], accepted: [accepted, m, "OOD accepted"] };
      Object.assign(told, { caught: [caught, m, "OOD caught"], rejected: [rejected, n, "ID rejected"] });
      for (const [name, [k, of, what]] of Object.entries(told)) {
        part(name).replaceChildren(text("b", percent(k, of)), ` ${what} (${k} of ${of})`);
      }
      const at = (cut - low) / (high - low);
      slider.value = Math.round(STEPS * at);
      line.setAttribute("x1", 100 * at);
      line.setAttribute("x2", 100 * at);
      point.setAttribute("cx", (100 * accepted) / m);
      point.setAttribute("cy", (100 * rejected) / n);
      const value = `cut ${cut.toPrecision(4)}`;
      const rates = `${percent(kept, n)} of ID kept, ${percent(accepted, m)} of OOD accepted`;
      part("value").textContent = value;
      slider.setAttribute("aria-valuetext", `${value}: ${rates}`);
      const { name } = data.detectors[detector.value];
      part("histogram").setAttribute("aria-label", `Histograms of the ${name} score, ID and OOD, with the ${value}`);
      part("roc").setAttribute("aria-label", `ROC curve of ${name} with a point at the cut: ${rates}`);
      showPictures();
    }

    /** Say how many pictures have changed sides since the last time. */
    function tell() {
      const [from, to] = [before, cut].sort((a, b) => a - b);
      const [ins, outs] = [inside, outside].map((rising) => below(rising, to) - below(rising, from));
      const now = cut > before ? "rejected" : "accepted";
      const changed = `Changed sides, now ${now}: ${ins} ID and ${outs} OOD pictures.`;
      part("moved").textContent = ins + outs ? changed : "No picture has changed sides.";
      before = cut;
    }

    detector.replaceChildren(...data.detectors.map(({ name }, k) => new Option(name, k)));
    chosen.replaceChildren(...data.sets.slice(1).map(({ label }, k) => new Option(label, k + 1)));
    Object.assign(slider, { min: 0, max: STEPS, step: 1 });
    detector.addEventListener("change", read);
    chosen.addEventListener("change", compare);
    slider.addEventListener("input", () => {
      cut = low + ((high - low) * slider.value) / STEPS;
      show();
    });
    slider.addEventListener("change", tell);
    part("buttons").addEventListener("click", ({ target }) => {
      if (target.value === "keep") cut = keeping(inside);
      else if (target.value === "catch") cut = Math.min(high, catching(inside, outside));
      else return;
      show();
      tell();
    });
    part("key").firstElementChild.textContent = `■ ${data.sets[0].label}`;
    read();
    const still = root.previousElementSibling;
    if (still?.matches(".cut-still")) still.hidden = true;
    root.hidden = false;
    root.dataset.ready = "true";
  }

  for (const root of document.querySelectorAll(".cut")) {
    const data = window.oodlibCuts?.[root.dataset.name];
    if (data && !root.dataset.ready) start(root, data);
  }
})();
