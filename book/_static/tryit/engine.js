// The detector behind the page: loaded on a click, told names, asked about pictures. Everything happens in the page.

import { fit } from "./detectors.js";
import { bytesOf, progressOf } from "./files.js";
import { imageTower } from "./image_tower.js";
import { startKernels } from "./kernels.js";
import { Matrix, Packed, top } from "./numbers.js";
import { normal, square, squareOfBitmap } from "./pixels.js";
import { textTower } from "./text_tower.js";
import { Vocabulary, checkNames } from "./words.js";

/** Bytes by part: `features`, `image`, `runtime` and `words` on the click, `text` on demand; filled by `describe`. */
export const SIZES = {};

const SHOWN = 5; // outlier words that are told of a picture
const KEEP = 0.95;

/** What there is to load. */
export async function describe({ base }) {
  const reply = await fetch(new URL("manifest.json", base)).catch(() => null);
  if (!reply?.ok) throw new Error("manifest.json cannot be loaded: check the connection and try again");
  const manifest = await reply.json();
  for (const [part, files] of Object.entries(manifest.files)) SIZES[part] = sum(files);
  return manifest;
}

/** Load image tower, runtime and words; `onProgress(doneBytes, totalBytes)`. */
export async function open({ base, onProgress }) {
  const manifest = await describe({ base });
  const { features, image, runtime, words } = manifest.files;
  const track = progressOf(onProgress, manifest.bytes);
  const wanted = [runtime.find(({ path }) => path.endsWith(".wasm.packed")), image[0], features[0], words[0]];
  const [binary, weights, packed, listed] = await Promise.all(wanted.map((file) => bytesOf(file, base, track())));
  const kernels = await startKernels(binary);
  const encode = imageTower(kernels, manifest.image, weights);
  onProgress?.(manifest.bytes, manifest.bytes);
  const blocks = Object.fromEntries(manifest.blocks.map((block) => [block.name, new Packed(packed, block)]));
  const vocabulary = new Vocabulary(JSON.parse(new TextDecoder().decode(listed)), blocks);
  return new Engine(manifest, base, { encode, product: kernels.product }, vocabulary);
}

class Engine {
  #tower; // { encode, product }
  #text; // a promise, once a name has needed it
  #known; // the vocabulary
  #typed = new Map(); // features of names that were typed, as long as the page is open
  #concepts;
  #fitted = new Map();
  #references = new Map();
  #pictures; // features of the book's drawings, once they are asked for
  #cosines; // of these with the names in use

  constructor(manifest, base, tower, vocabulary) {
    Object.assign(this, { manifest, base });
    this.#tower = tower;
    this.#known = vocabulary;
    this.detectors = manifest.detectors.map(({ key, label }) => ({ key, label }));
    this.defaults = { names: manifest.names, drawings: manifest.drawings };
  }

  /**
   * Use these names: `names` are those that can be used, `unknown` those of which the model knows nothing, `notes` are
   * sentences for the reader.
   */
  async setNames(typed, { onProgress } = {}) {
    const { names, notes } = checkNames(typed);
    const lacking = names.filter((name) => this.#known.find(name) === undefined && !this.#typed.has(name));
    if (lacking.length) await this.#learn(lacking, onProgress);
    const usable = this.#usable(names, notes);
    const rows = usable.map((name) => this.#featuresOf(name));
    const of = (part) => Matrix.of(rows.map((row) => row[part]), this.#known.text.columns);
    const text = of("text");
    const places = this.#known.untaken(usable);
    const start = String(usable) === String(this.manifest.names);
    this.#concepts = {
      names: usable,
      text,
      no: of("no"),
      words: { places, text: this.#known.text.take(places) },
      prototypes: this.#known.prototypes.all(),
      edge: start ? this.manifest.edge : null,
      mixes: start ? this.manifest.mixes : this.manifest.mixes.slice(0, this.manifest.each),
      logitScale: this.manifest.logit_scale,
      product: this.#tower.product,
    };
    this.#fitted.clear();
    this.#references.clear();
    this.#cosines = undefined;
    const unknown = names.filter((name) => !usable.includes(name));
    return { names: usable, unknown, notes: [...notes, ...this.#doubts()] };
  }

  /** The feature of an ImageBitmap or ImageData. */
  async decide(picture) {
    const { size, ...scale } = this.manifest.image;
    const levels = picture.data ? square(picture, size[0]) : squareOfBitmap(picture, size[0]);
    return { features: this.#tower.encode(normal(levels, { mean: scale.mean[0], std: scale.std[0] })) };
  }

  /** What a detector makes of a feature, with the names in use. */
  read(features, key) {
    const { names, words } = this.#concepts;
    const detector = this.#detector(key);
    const picture = new Matrix(features, features.length);
    const compare = (rows) => this.#tower.product(rows, picture).data;
    const compared = [this.#concepts.text, ...detector.against].map(compare);
    const score = detector.score(...compared);
    const { names: shares, words: taken } = detector.read(...compared);
    const by = taken.size ? words.places.map((place) => taken.get(place) ?? 0) : compare(words.text);
    const near = top(by, SHOWN);
    const cosines = compare(words.text.take(near));
    const told = near.map((k, at) => ({
      word: this.#known.words[words.places[k]],
      cosine: cosines[at],
      weight: taken.get(words.places[k]) ?? 0,
    }));
    const inside = shares.reduce((a, b) => a + b, 0);
    return {
      score,
      shown: detector.shown(score),
      names: top(shares, names.length).map((k) => ({ name: names[k], p: shares[k] })),
      words: told,
      pulledBy: taken.size && inside < 0.5 ? told[0].word : null,
    };
  }

  /** Scores of the book's drawings: `id` of the names in use, `far` of the far groups, and a cut that keeps 95 %. */
  reference(key) {
    if (!this.#references.has(key)) this.#references.set(key, this.#score(key));
    return this.#references.get(key);
  }

  #score(key) {
    const { labels, kinds, words } = this.#known;
    const { product } = this.#tower;
    const detector = this.#detector(key);
    const own = new Set(this.#concepts.names.map((name) => this.#known.find(name)));
    this.#pictures ??= this.#known.pictures.all();
    this.#cosines ??= product(this.#pictures, this.#concepts.text); // every detector wants them
    const compared = [this.#cosines, ...detector.against.map((rows) => product(this.#pictures, rows))];
    const scores = (chosen) =>
      Float32Array.from(
        labels.flatMap((label, k) =>
          chosen(label, kinds[k]) ? [detector.score(...compared.map((table) => table.row(k)))] : [],
        ),
      );
    const id = scores((label) => own.has(this.#known.find(words[label])));
    const far = scores((label, kind) => kind === "far" && !own.has(this.#known.find(words[label])));
    // Without drawings of the names, the cut that catches as many of the far ones.
    const cut = id.length ? atRecall(id, KEEP) : Float32Array.from(far).sort()[Math.ceil(KEEP * far.length)];
    return { id, far, cut };
  }

  #detector(key) {
    if (!this.#concepts?.names.length) throw new Error("There are no names: add one.");
    if (!this.#fitted.has(key)) {
      const { parameters } = this.manifest.detectors.find((one) => one.key === key);
      this.#fitted.set(key, fit(key, parameters, this.#concepts));
    }
    return this.#fitted.get(key);
  }

  async #learn(names, onProgress) {
    const track = progressOf(onProgress, sum(this.manifest.files.text));
    this.#text ??= textTower(this.manifest, this.base, track);
    const tower = await this.#text.catch((error) => {
      this.#text = undefined; // it may be there next time
      throw error;
    });
    const readings = names.map((name) => tower.reading(name));
    const found = await tower.encode(names.filter((_, k) => readings[k].known));
    names.forEach((name, k) => this.#typed.set(name, { ...readings[k], ...(readings[k].known ? found.shift() : {}) }));
  }

  #featuresOf(name) {
    const place = this.#known.find(name);
    if (place === undefined) return this.#typed.get(name);
    return { text: this.#known.text.row(place), no: this.#known.no.row(place) };
  }

  /** The names that the model knows and tells apart; sentences about the others join the notes. */
  #usable(names, notes) {
    const read = new Map();
    return names.filter((name) => {
      const reading = this.#typed.get(name);
      if (!reading) return true;
      if (!reading.known) {
        notes.push(`The model knows nothing of “${name}”, which is left out: write it in English.`);
        return false;
      }
      if (read.has(reading.ids)) {
        notes.push(`The model cannot tell “${name}” from “${read.get(reading.ids)}”: only the second is used.`);
        return false;
      }
      if (reading.partly) notes.push(`The model knows only a part of “${name}”.`);
      read.set(reading.ids, name);
      return true;
    });
  }

  #doubts() {
    const { names, edge } = this.#concepts;
    const doubts = [];
    const many = 2 * this.manifest.each;
    if (!edge && names.length >= many) {
      doubts.push(`With ${many} names or more, not the book's, OLE near the cut may differ from the library.`);
    }
    if (names.length === 1) doubts.push("With one name, MSP and MCM give every picture the same score.");
    const drawn = new Set(this.#known.labels.map((label) => this.#known.find(this.#known.words[label])));
    if (names.length && !names.some((name) => drawn.has(this.#known.find(name)))) {
      doubts.push("The book has no drawings of these names, so the cut first catches 95 % of its far drawings.");
    }
    return doubts;
  }
}

/** The largest cut that keeps a share of the scores, as `oodlib.evaluation.thresholds.at_recall`. */
function atRecall(scores, recall) {
  const falling = Float32Array.from(scores).sort().reverse();
  const first = falling.findIndex((_, k) => (k + 1) / falling.length >= recall);
  return falling[first];
}

const sum = (files) => files.reduce((bytes, file) => bytes + file.bytes, 0);
