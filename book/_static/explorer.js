/* The interactive map of the page on embedding spaces.
 *
 * Its points stand in window.oodlibExplorer (explorer/points.js, written by oodlib.explorer), its pictures on one sheet
 * beside them. plotly draws; this file says what a point is, and makes the map work by pointer and by keyboard alike.
 * Nothing is fetched, so that the page also works when it is opened from disk.
 */
(() => {
  "use strict";
  const root = document.querySelector(".explorer");
  const data = window.oodlibExplorer;
  if (!root || !data || !window.Plotly) return;
  const part = (name) => root.querySelector(`.explorer-${name}`);
  const [map, plot, card, key, said] = ["map", "plot", "card", "key", "said"].map(part);
  const [colour, score, find] = ["colour", "score", "find"].map(part);
  const N = data.x.length;
  const SHOWN = 72; // CSS pixels of the picture on the card
  const touch = window.matchMedia("(pointer: coarse)").matches;

  // The book's colours, and lighter ones for a dark ground. A set has a shape as well as a colour.
  const PALETTES = {
    light: {
      sets: ["#0072B2", "#D55E00", "#009E73", "#882255", "#8C6D31", "#CC79A7", "#5B5BD6", "#3A9BD9"],
      scale: ["#D55E00", "#B8B8B8", "#0072B2"],
      words: ["#000000", "#767676", "#8A6FA8"],
    },
    dark: {
      sets: ["#56B4E9", "#FF9E4A", "#2FCB9D", "#F08CC8", "#D8C06A", "#F4C6E0", "#A9A9FF", "#A8DCFF"],
      scale: ["#FF9E4A", "#6E6E6E", "#56B4E9"],
      words: ["#FFFFFF", "#9A9A9A", "#B9A3D3"],
    },
  };
  const SHAPES = [
    ["circle", "●"], ["square", "■"], ["triangle-up", "▲"], ["pentagon", "⬟"],
    ["triangle-down", "▼"], ["star", "★"], ["hexagon", "⬢"], ["triangle-right", "▶"],
  ];
  const WORD_SHAPES = [["diamond", "◆"], ["x", "✖"], ["cross", "✚"]];

  const bounds = (values) => {
    const [low, high] = [Math.min(...values), Math.max(...values)];
    return [low - 0.03 * (high - low), high + 0.03 * (high - low)];
  };
  const WHOLE = { x: bounds(data.x), y: bounds(data.y) };
  let current = -1; // the point that the card shows
  let hidden = new Set(); // names on the key that are switched off
  let groups = [];

  const palette = () => PALETTES[document.documentElement.dataset.theme === "dark" ? "dark" : "light"];
  const setOf = (i) => data.set.names[data.set.of[i]];
  const handOf = (i) => data.hand.names[data.hand.of[i]];
  const scoreOf = (i) => data.scores[score.value].of[i];

  /* Colour ------------------------------------------------------------------------------------------------------- */

  /** The share of scored points that score lower, for every point: colours by rank use the whole scale. */
  function ranks() {
    const sorted = data.scores[score.value].of.filter((value) => value !== null).sort((a, b) => a - b);
    const below = new Map();
    sorted.forEach((value, k) => below.has(value) || below.set(value, k / (sorted.length - 1)));
    return data.scores[score.value].of.map((value) => (value === null ? null : below.get(value)));
  }

  /** What the map is divided into: a name, its points, a shape and a colour (or a colour for each point). */
  function divide() {
    const inks = palette();
    const rank = colour.value === "score" ? ranks() : null;
    const found = new Map();
    for (let i = 0; i < N; i++) {
      const isWord = data.picture[i] < 0;
      const name = isWord ? setOf(i) : rank ? "pictures" : colour.value === "hand" ? handOf(i) : setOf(i);
      if (!found.has(name)) found.set(name, { name, isWord, points: [] });
      found.get(name).points.push(i);
    }
    let [pictures, words] = [0, 0];
    return [...found.values()].map((group) => {
      const k = group.isWord ? words++ : pictures++;
      const shapes = group.isWord ? WORD_SHAPES : SHAPES;
      const colours = group.isWord ? inks.words : inks.sets;
      group.shape = shapes[k % shapes.length];
      group.ink = colours[k % colours.length];
      group.ranks = rank && !group.isWord ? group.points.map((i) => rank[i]) : null;
      return group;
    });
  }

  function traces() {
    const scale = palette().scale.map((ink, k) => [k / 2, ink]);
    return groups.map((group) => ({
      type: "scatter",
      mode: "markers",
      name: group.name,
      hoverinfo: "none",
      visible: !hidden.has(group.name),
      x: group.points.map((i) => data.x[i]),
      y: group.points.map((i) => data.y[i]),
      customdata: group.points,
      marker: {
        symbol: group.shape[0],
        size: group.isWord ? 4.5 : 5.5,
        opacity: group.isWord ? 0.7 : 0.85,
        line: { width: 0 },
        ...(group.ranks ? { color: group.ranks, colorscale: scale, cmin: 0, cmax: 1 } : { color: group.ink }),
      },
    }));
  }

  const axis = (range) => ({ range, visible: false, fixedrange: false });
  const layout = {
    margin: { l: 0, r: 0, t: 0, b: 0 },
    showlegend: false,
    hovermode: "closest",
    hoverdistance: 30,
    dragmode: touch ? false : "pan", // a finger scrolls the page until there is something to move
    paper_bgcolor: "rgba(0,0,0,0)",
    plot_bgcolor: "rgba(0,0,0,0)",
    xaxis: axis([...WHOLE.x]),
    yaxis: axis([...WHOLE.y]),
    shapes: [],
  };
  const CONFIG = { displayModeBar: false, scrollZoom: true, responsive: true, doubleClick: false, showTips: false };

  function draw() {
    groups = divide();
    drawKey();
    layout.shapes = ring();
    return window.Plotly.react(plot, traces(), layout, CONFIG);
  }

  /** The key is made of buttons that switch a part of the map off and on. */
  function drawKey() {
    key.replaceChildren(
      ...groups.map((group) => {
        const button = document.createElement("button");
        const mark = document.createElement("span");
        button.type = "button";
        button.setAttribute("aria-pressed", String(!hidden.has(group.name)));
        mark.ariaHidden = "true";
        if (group.ranks) {
          mark.className = "explorer-scale";
          mark.style.backgroundImage = `linear-gradient(90deg, ${palette().scale.join(", ")})`;
        } else {
          mark.textContent = group.shape[1];
          mark.style.color = group.ink;
        }
        const text = group.ranks ? `${group.name}, low to high` : `${group.name}: ${group.points.length}`;
        button.append(mark, ` ${text}`);
        button.addEventListener("click", () => {
          if (!hidden.delete(group.name)) hidden.add(group.name);
          button.setAttribute("aria-pressed", String(!hidden.has(group.name)));
          window.Plotly.restyle(plot, { visible: !hidden.has(group.name) }, [groups.indexOf(group)]);
        });
        return button;
      }),
    );
  }

  /* One point ---------------------------------------------------------------------------------------------------- */

  function ring() {
    if (current < 0) return [];
    const ink = getComputedStyle(root).color;
    const at = { xanchor: data.x[current], yanchor: data.y[current], xsizemode: "pixel", ysizemode: "pixel" };
    return [{ type: "circle", ...at, x0: -10, x1: 10, y0: -10, y1: 10, line: { width: 3, color: ink } }];
  }

  /** Lines about a point: what it is, its score and the decision, its nearest words. */
  function lines(i) {
    const where = handOf(i) ? `${setOf(i)}, drawn by ${handOf(i)}` : setOf(i);
    const told = [["", where]];
    if (scoreOf(i) !== null) {
      const { cut } = data.scores[score.value];
      const decision = scoreOf(i) >= cut ? "taken as in-distribution" : "rejected";
      told.push([`${score.value} score`, `${scoreOf(i).toPrecision(4)} (cut ${cut.toPrecision(4)}): ${decision}`]);
    }
    for (const [title, lists] of Object.entries(data.near.lists)) {
      const words = lists[i].map(([place, hundredths]) => `${data.near.words[place]} ${(hundredths / 100).toFixed(2)}`);
      if (words.length) told.push([title, words.join(", ")]);
    }
    return told;
  }

  function hint(text) {
    const line = document.createElement("p");
    line.className = "explorer-hint";
    line.textContent = text;
    card.replaceChildren(line);
  }

  function fillCard() {
    card.classList.toggle("explorer-filled", current >= 0);
    if (current < 0) {
      hint("Point at a picture.");
      return;
    }
    const title = document.createElement("p");
    title.className = "explorer-name";
    title.textContent = data.name[current];
    const cell = data.picture[current];
    const picture = document.createElement("div");
    if (cell >= 0) {
      picture.className = "explorer-picture";
      picture.setAttribute("role", "img");
      picture.ariaLabel = `Picture: ${data.name[current]}, drawn by ${handOf(current)}`;
      const [column, row] = [cell % data.columns, Math.floor(cell / data.columns)];
      Object.assign(picture.style, {
        backgroundImage: `url("${root.dataset.folder}pictures.webp")`,
        backgroundSize: `${SHOWN * data.columns}px ${SHOWN * data.rows}px`,
        backgroundPosition: `${-SHOWN * column}px ${-SHOWN * row}px`,
      });
    }
    const told = lines(current).map(([what, text]) => {
      const line = document.createElement("p");
      const name = document.createElement("b");
      name.textContent = what ? `${what}: ` : "";
      line.append(name, text);
      return line;
    });
    card.replaceChildren(picture, title, ...told);
  }

  function choose(i, { say = false } = {}) {
    if (i === current && !say) return;
    current = i;
    fillCard();
    said.textContent = !say || i < 0 ? "" : [data.name[i], ...lines(i).map((line) => line.filter(Boolean).join(": "))].join(". ");
    window.Plotly.relayout(plot, { shapes: ring() });
  }

  /** Say on the card and aloud that nothing was found. */
  function miss(text) {
    choose(-1);
    hint(text);
    said.textContent = text;
  }

  /* Moving ------------------------------------------------------------------------------------------------------- */

  const range = () => ({ x: plot.layout.xaxis.range.map(Number), y: plot.layout.yaxis.range.map(Number) });
  const isWhole = ({ x, y }) => x[0] <= WHOLE.x[0] && x[1] >= WHOLE.x[1] && y[0] <= WHOLE.y[0] && y[1] >= WHOLE.y[1];

  function look({ x, y }) {
    const dragmode = touch && isWhole({ x, y }) ? false : "pan";
    return window.Plotly.relayout(plot, { "xaxis.range": x, "yaxis.range": y, dragmode });
  }

  /** Make the map show `factor` of what it shows, around the chosen point if it is in view, else around the middle. */
  function zoom(factor) {
    const now = range();
    const scaled = {};
    for (const side of ["x", "y"]) {
      const [low, high] = now[side];
      const at = inView(current, now) ? data[side][current] : (low + high) / 2;
      scaled[side] = [at + (low - at) * factor, at + (high - at) * factor];
    }
    look(scaled);
  }

  const inView = (i, { x, y }) =>
    i >= 0 && data.x[i] >= x[0] && data.x[i] <= x[1] && data.y[i] >= y[0] && data.y[i] <= y[1];

  /** Choose a point and say it; move the map, as large as it is, where the point is out of view. */
  function reach(i) {
    const now = range();
    if (!inView(i, now)) {
      const half = { x: (now.x[1] - now.x[0]) / 2, y: (now.y[1] - now.y[0]) / 2 };
      look({ x: [data.x[i] - half.x, data.x[i] + half.x], y: [data.y[i] - half.y, data.y[i] + half.y] });
    }
    choose(i, { say: true });
  }

  const visible = () => groups.filter((group) => !hidden.has(group.name)).flatMap((group) => group.points);

  /** The nearest point in one direction, going sideways counting double; null at the edge. */
  function next(right, up) {
    const now = range();
    const [width, height] = [plot.clientWidth / (now.x[1] - now.x[0]), plot.clientHeight / (now.y[1] - now.y[0])];
    const from = current < 0
      ? { x: (now.x[0] + now.x[1]) / 2, y: (now.y[0] + now.y[1]) / 2 }
      : { x: data.x[current], y: data.y[current] };
    let [best, shortest] = [null, Infinity];
    for (const i of visible()) {
      const [dx, dy] = [(data.x[i] - from.x) * width, (data.y[i] - from.y) * height];
      const forward = dx * right + dy * up;
      const sideways = Math.abs(dx * up) + Math.abs(dy * right);
      const length = current < 0 ? Math.hypot(dx, dy) : forward + 2 * sideways;
      if (i !== current && (current < 0 || forward > 0.5) && length < shortest) [best, shortest] = [i, length];
    }
    return best;
  }

  const ARROWS = { ArrowRight: [1, 0], ArrowLeft: [-1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };
  const ZOOMS = { "+": 0.6, "=": 0.6, "-": 1 / 0.6, in: 0.6, out: 1 / 0.6 };

  map.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key in ARROWS) {
      const found = next(...ARROWS[event.key]);
      if (found !== null) reach(found);
    } else if (event.key in ZOOMS) zoom(ZOOMS[event.key]);
    else if (event.key === "0") look(WHOLE);
    else if (event.key === "Escape") choose(-1);
    else return;
    event.preventDefault();
  });
  // The wheel scrolls the page until the map has been clicked.
  map.addEventListener("wheel", (event) => map.contains(document.activeElement) || event.stopPropagation(), { capture: true, passive: true });
  map.addEventListener("pointerdown", () => map.focus({ preventScroll: true }), { capture: true });
  part("buttons").addEventListener("click", (event) => {
    const { value } = event.target;
    if (value === "all") look(WHOLE);
    else if (value in ZOOMS) zoom(ZOOMS[value]);
  });
  find.addEventListener("keydown", (event) => {
    const wanted = find.value.trim().toLowerCase();
    if (event.key !== "Enter" || !wanted) return;
    const points = visible();
    const after = points.indexOf(current) + 1;
    const found = [...points.slice(after), ...points.slice(0, after)].find((i) => data.name[i].toLowerCase().includes(wanted));
    if (found === undefined) miss(`No point that is shown is called ${find.value}.`);
    else reach(found);
    event.preventDefault();
  });
  colour.addEventListener("change", () => {
    hidden = new Set();
    draw();
  });
  score.addEventListener("change", () => {
    fillCard();
    draw();
  });

  /* Start -------------------------------------------------------------------------------------------------------- */

  score.replaceChildren(...Object.keys(data.scores).map((name) => new Option(name, name)));
  root.hidden = false;
  draw().then(() => {
    const chosen = (event) => choose(event.points[0].customdata);
    plot.on("plotly_hover", chosen);
    plot.on("plotly_click", chosen);
    root.dataset.ready = "true";
  });
  new MutationObserver(() => draw()).observe(document.documentElement, { attributeFilter: ["data-theme"] });
})();
