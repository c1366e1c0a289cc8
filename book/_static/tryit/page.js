/* The page on which readers try the detector: it is loaded on a click, and decisions follow pictures, names and cut. */

import { make, megabytes, sentence } from "./elements.js";
import { open } from "./engine.js";
import { compared, startCut } from "./histogram.js";
import { startNames } from "./names_list.js";
import { keepPage } from "./offline.js";
import { readPicture } from "./picture_file.js";
import { showDrawings, startRow, takeFiles } from "./picture_row.js";

const BASE = new URL(".", import.meta.url).href;
const KINDS = { in: "In: one of the names", near: "Near: like one of the names", far: "Far: something else" };

/** Show what is ready, name the size on the button, and load what it promises on a click. */
export async function start(root) {
  const part = (name) => root.querySelector(`.tryit-${name}`);
  const [button, progress, loaded, trouble] = ["start", "progress", "loaded", "trouble"].map(part);
  const { bytes, drawings } = await (await fetch(`${BASE}manifest.json`)).json();
  const ready = drawings.map(({ src, name }) => make("img", { src: BASE + src, alt: name, width: 48, height: 48 }));
  part("ready").replaceChildren(...ready);
  button.textContent = `Load the detector (${megabytes(bytes)})`;
  button.disabled = false;
  const onProgress = (done, total) => {
    progress.value = done / total;
    loaded.textContent = `${megabytes(done)} of ${megabytes(total)}`;
  };
  button.addEventListener("click", async () => {
    button.disabled = true;
    progress.hidden = false;
    trouble.textContent = "";
    try {
      await startTrying(root, await open({ base: BASE, onProgress }));
      keepPage(BASE);
    } catch (error) {
      trouble.textContent = `The detector has not started. ${sentence(error)}`;
      button.disabled = false;
      progress.hidden = true;
      loaded.textContent = "";
    }
  });
}

/** Show the rest of the page, with an engine that runs. */
async function startTrying(root, engine) {
  const part = (name) => root.querySelector(`.tryit-${name}`);
  const detector = part("detector");
  const cuts = new Map(); // that the reader has chosen for these names, by detector
  let [names, reference, cut] = [[], null, 0];

  const mark = () => names.length && panel.mark(row.read().map(({ score }) => score));
  const label = () => detector.selectedOptions[0].text;

  /** Fill a card as the chosen detector reads its picture, in the names that are in use. */
  function tell(card) {
    if (names.length) card.read(engine.read(card.features, detector.value), label(), cut, reference);
    else card.say("wait", "There are no names: add one.");
  }

  /** Everything anew, after other names or with another detector. */
  function tellAll() {
    part("both").dataset.named = names.length > 0;
    if (names.length) {
      const found = engine.reference(detector.value);
      reference = compared(found);
      cut = cuts.get(detector.value) ?? found.cut;
      panel.read(label(), reference, cut);
    }
    row.read().forEach(tell);
    mark();
  }

  async function use(wanted, told) {
    const onProgress = (done, total) => told(`Loading: ${megabytes(done)} of ${megabytes(total)}.`);
    const none = { names: [], notes: ["There are no names: add one."] };
    const found = wanted.length ? await engine.setNames(wanted, { onProgress }) : none;
    if (wanted.length && !found.names.length) {
      if (names.length) await engine.setNames(names);
      throw new Error(found.notes.join(" "));
    }
    names = found.names;
    cuts.clear();
    tellAll();
    return found;
  }

  const quiet = () => (part("status").textContent = ""); // what it said of a picture may have changed

  const panel = startCut(root, (to) => {
    quiet();
    cut = to;
    cuts.set(detector.value, to);
    for (const card of row.read()) card.cut(to);
    mark();
  });
  const row = startRow(root, (bitmap) => engine.decide(bitmap), tell, mark);
  const drawings = engine.defaults.drawings.map((one) => ({ ...one, src: new URL(one.src, BASE).href }));
  const addDrawings = (some) => row.add(some.map(({ name, src }) => [name, () => drawingFrom(src)]));
  showDrawings(part("drawings"), drawings, KINDS, (drawing) => addDrawings([drawing]));
  takeFiles(root, (files) => row.add(files.map((file) => [file.name, () => readPicture(file)])));
  detector.replaceChildren(...engine.detectors.map(({ key, label: text }) => new Option(text, key)));
  detector.addEventListener("change", () => {
    quiet();
    tellAll();
  });

  await startNames(root, engine.defaults.names, use);
  for (const name of ["loading", "ready"]) part(name).hidden = true;
  part("body").hidden = false;
  part("drawings").querySelector("button").focus({ preventScroll: true });
  root.dataset.ready = "true";
  addDrawings(["in", "far"].flatMap((kind) => drawings.filter((one) => one.kind === kind).slice(0, 1)));
}

async function drawingFrom(src) {
  const reply = await fetch(src).catch(() => null);
  if (!reply?.ok) throw new Error("could not be loaded: the connection is gone. Try again.");
  return readPicture(await reply.blob());
}
