// PocketCLIP's text tower in ONNX Runtime Web, on one thread: texts to features of length one. It is loaded for names
// that the vocabulary lacks.

import { bytesOf } from "./files.js";
import { normalize } from "./numbers.js";

const BATCH = 32; // prompts at once

/** Load the text tower, the tokenizer and the runtime. */
export async function textTower(manifest, base, track) {
  const { text: files } = manifest.files;
  const large = [...files.slice(0, 2), files.find(({ path }) => path.endsWith(".wasm.packed"))];
  const [model, words, binary] = await Promise.all(large.map((file) => bytesOf(file, base, track())));
  const { Tokenizer } = await import("./vendor/tokenizers.min.mjs");
  const told = JSON.parse(new TextDecoder().decode(words));
  const tokenizer = new Tokenizer(told, {});
  const unknown = told.model.vocab["[UNK]"];
  const ort = await import("./vendor/ort.wasm.min.mjs");
  ort.env.wasm.numThreads = 1;
  ort.env.wasm.wasmBinary = binary.buffer;
  ort.env.wasm.wasmPaths = { mjs: new URL("./vendor/ort-wasm-simd-threaded.mjs", import.meta.url).href };
  const session = await ort.InferenceSession.create(model, { executionProviders: ["wasm"] });

  /** Its tokens, cut as the library cuts them: the end stays what it is. */
  function read(text) {
    const ids = [...tokenizer.encode(clean(text)).ids];
    const { context } = manifest;
    return ids.length > context ? [...ids.slice(0, context - 1), ids.at(-1)] : ids;
  }

  async function run(rows) {
    const longest = Math.max(...rows.map((row) => row.length));
    const ids = new BigInt64Array(rows.length * longest);
    rows.forEach((row, k) => row.forEach((id, at) => (ids[k * longest + at] = BigInt(id))));
    const mask = ids.map((id) => (id === 0n ? 0n : 1n)); // 0 pads
    const tensor = (data) => new ort.Tensor("int64", data, [rows.length, longest]);
    const { text, no } = await session.run({ input_ids: tensor(ids), attention_mask: tensor(mask) });
    const width = text.dims[1];
    const rowsOf = ({ data }) => rows.map((_, k) => normalize(data.slice(k * width, (k + 1) * width)));
    return { text: rowsOf(text), no: rowsOf(no) };
  }

  return {
    /** What it reads of a name: tokens, and whether there is anything that it knows. */
    reading(name) {
      const ids = read(name).slice(1, -1);
      return { ids: ids.join(" "), known: ids.some((id) => id !== unknown), partly: ids.includes(unknown) };
    },
    /** Features of names in all templates: [{ text, no }], each the normalised mean. */
    async encode(names) {
      const rows = names.flatMap((name) => manifest.templates.map((one) => read(one.replace("{}", name))));
      const order = rows.map((_, k) => k).sort((a, b) => rows[a].length - rows[b].length);
      const found = { text: [], no: [] };
      for (let start = 0; start < order.length; start += BATCH) {
        const some = order.slice(start, start + BATCH);
        const { text, no } = await run(some.map((k) => rows[k]));
        some.forEach((k, at) => ([found.text[k], found.no[k]] = [text[at], no[at]]));
        await new Promise((resolve) => setTimeout(resolve)); // the page may draw
      }
      const each = manifest.templates.length;
      const mean = (list, k) => normalize(sum(list.slice(k * each, (k + 1) * each)));
      return names.map((_, k) => ({ text: mean(found.text, k), no: mean(found.no, k) }));
    },
  };
}

/**
 * A text as the library gives it to its tokenizer, as far as a page can: one form of letters with accents, plain
 * quotes, no control characters, single spaces. What ftfy repairs besides (texts in a wrong encoding) and the names of
 * HTML's characters, such as "&amp;", stay as they are.
 */
export function clean(text) {
  return text
    .replace(/[\uFB00-\uFB06\uFF01-\uFF5E\u3000]/g, (letter) => letter.normalize("NFKC"))
    .replace(/[\u2018\u2019\u201A\u201B\u02BC]/g, "'")
    .replace(/[\u201C-\u201F]/g, '"')
    .replace(/[\u0000-\u0008\u000E-\u001F\u007F\u200E\u200F\uFEFF]/g, "")
    .normalize("NFC")
    .split(/\s+/u)
    .filter(Boolean)
    .join(" ");
}

function sum(rows) {
  const out = new Float32Array(rows[0].length);
  for (const row of rows) row.forEach((x, k) => (out[k] += x));
  return out;
}
