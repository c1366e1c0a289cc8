/* An engine that knows colours only: features are a picture's mean colour, names and words are colours.
 *
 * For the tests of the page around an engine: `window.engineTest` says what it holds up, until it no longer does, and
 * what fails.
 */
const COLOURS = { red: [1, 0, 0], green: [0, 0.5, 0], blue: [0, 0, 1], yellow: [1, 1, 0], white: [1, 1, 1] };
const WORDS = { orange: [1, 0.5, 0], purple: [0.5, 0, 0.5], black: [0, 0, 0] };
const test = () => globalThis.engineTest ?? {};
const turn = () => new Promise((resolve) => setTimeout(resolve, 5));
const held = async (what) => {
  do await turn();
  while (test().hold === what);
};

const made = (name, k) => ([...name].reduce((sum, letter) => (31 * sum + letter.codePointAt(0) + k) % 9973, 7) % 97) / 97;
const vector = (name) => COLOURS[name] ?? [1, 2, 3].map((k) => made(name, k));
const likeness = (a, b) => 1 - Math.hypot(...a.map((x, k) => x - b[k])) / Math.sqrt(3);

export async function open({ onProgress }) {
  for (const share of [0, 0.5, 1]) {
    onProgress(share * 12.5e6, 12.5e6);
    await (share === 0.5 ? held("load") : turn());
  }
  if (test().failLoad) throw new RangeError("out of memory");
  let names = [];
  let used = null;
  return {
    detectors: [
      { key: "msp", label: "MSP" },
      { key: "ole", label: "OLE" },
    ],
    defaults: {
      names: ["red", "green", "blue"],
      drawings: [
        { src: "drawings/red.png", name: "red square", kind: "in" },
        { src: "drawings/yellow.png", name: "yellow square", kind: "near" },
        { src: "drawings/black.png", name: "black square", kind: "far" },
      ],
    },
    async setNames(wanted, { onProgress: told }) {
      const unknown = wanted.filter((name) => !(name in COLOURS));
      if (unknown.length) told(5e5, 1e6);
      if (unknown.length) await held("names");
      if (unknown.length && test().failNames) throw new TypeError("Failed to fetch");
      names = wanted.filter((name) => /[a-z]/.test(name));
      const strange = wanted.filter((name) => !names.includes(name));
      return { names, notes: strange.map((name) => `Not known: ${name}.`) };
    },
    async decide(bitmap) {
      if (used) throw new Error("decides two pictures at once.");
      used = bitmap;
      await held("decide");
      const pen = new OffscreenCanvas(1, 1).getContext("2d");
      pen.fillStyle = "white";
      pen.fillRect(0, 0, 1, 1);
      pen.drawImage(bitmap, 0, 0, 1, 1);
      used = null;
      return { features: Float32Array.from(pen.getImageData(0, 0, 1, 1).data.slice(0, 3), (level) => level / 255) };
    },
    read(features, key) {
      const found = names.map((name) => ({ name, p: likeness(features, vector(name)) })).sort((a, b) => b.p - a.p);
      const words = Object.entries(WORDS)
        .map(([word, of]) => ({ word, cosine: likeness(features, of), weight: key === "ole" ? likeness(features, of) : 0 }))
        .sort((a, b) => b.cosine - a.cosine);
      const pulledBy = key === "ole" && words[0].cosine > found[0].p ? words[0].word : null;
      const score = found[0].p - (key === "ole" ? words[0].cosine : 0);
      return { score, shown: key === "ole" ? (score + 1) / 2 : score, names: found, words, pulledBy };
    },
    reference(key) {
      const known = names.some((name) => name in COLOURS);
      const id = known ? Float32Array.from({ length: 40 }, (_, k) => 0.5 + k / 80) : new Float32Array(0);
      const far = Float32Array.from({ length: 20 }, (_, k) => k / 25 - (key === "ole" ? 0.5 : 0));
      return { id, far, cut: key === "ole" ? 0.25 : 0.75 };
    },
  };
}
