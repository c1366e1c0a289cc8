// Five detectors, each as in `oodlib.detectors`: larger scores are more in-distribution, and where a method's formula is
// a share, scores are its log-odds. `oodlib.report.try_it.page_detectors` names their parameters; where those do not
// say otherwise a test holds every score against the library's.
//
// `fit` gives a function from a picture's feature to
//   score   as `score_samples` gives it
//   shown   on the paper's scale
//   names   the share of each name
//   words   by outlier word in use (its place in the vocabulary), the share that it takes; empty where there is none

import {
  Matrix,
  largestShare,
  logSumExp,
  meanShare,
  normalize,
  permutation,
  product,
  quantile,
  scaled,
  sigmoid,
  top,
} from "./numbers.js";

const METHODS = { msp, mcm, energy, neg_label: negLabel, ole };

/**
 * A detector for these concepts.
 *
 * @param {string} key
 * @param {object} parameters the library's, by their names there
 * @param {{text: Matrix, no: Matrix, words: {places: number[], text: Matrix}, prototypes: Matrix, edge: number[]|null,
 *   mixes: number[], logitScale: number}} concepts
 */
export const fit = (key, parameters, concepts) => METHODS[key](parameters, concepts);

const NONE = new Map();
const shares = (logits) => {
  const whole = logSumExp(logits);
  return logits.map((x) => Math.exp(x - whole));
};

function msp(_, concepts) {
  return mcm({ temperature: 1 / concepts.logitScale }, concepts);
}

function mcm({ temperature }, { text }) {
  return (feature) => {
    const logits = scaled(text.times(feature), temperature);
    const score = logits.length > 1 ? largestShare(logits) : 0; // with one name no picture differs from another
    return { score, shown: sigmoid(score), names: shares(logits), words: NONE };
  };
}

function energy({ temperature }, { text, logitScale }) {
  const tau = temperature ?? 1 / logitScale;
  return (feature) => {
    const logits = scaled(text.times(feature), tau);
    const score = tau * logSumExp(logits);
    return { score, shown: score, names: shares(logits), words: NONE };
  };
}

function negLabel({ quantile: q, keep, groups, temperature, random_state: seed }, { text, words }) {
  const near = words.places.map((_, k) => quantile(text.times(words.text.row(k)), q));
  const kept = top(near.map((x) => -x), Math.max(1, Math.floor(near.length * keep))); // the farthest first
  const count = Math.min(groups, kept.length);
  const size = Math.floor(kept.length / count);
  const dealt = permutation(count * size, seed).map((k) => kept[k]);
  const labels = words.text.take(dealt);
  return (feature) => {
    const logits = scaled(text.times(feature), temperature);
    const others = scaled(labels.times(feature), temperature);
    const known = logSumExp(logits);
    const names = new Float64Array(logits.length);
    const taken = new Map();
    const odds = Array.from({ length: count }, (_, g) => {
      const own = others.subarray(g * size, (g + 1) * size);
      const unknown = logSumExp(own);
      const whole = logSumExp([known, unknown]);
      logits.forEach((x, k) => (names[k] += Math.exp(x - whole) / count));
      own.forEach((x, k) => taken.set(words.places[dealt[g * size + k]], Math.exp(x - whole) / count));
      return known - unknown;
    });
    const score = meanShare(odds);
    return { score, shown: sigmoid(score), names, words: taken };
  };
}

function ole({ quantile: q, temperature, use_no: useNo, hard }, concepts) {
  const { text, no, words, prototypes, mixes, edge } = concepts;
  const near = Array.from({ length: prototypes.rows }, (_, k) => Math.max(...text.times(prototypes.row(k))));
  const limit = quantile(near, q);
  const far = near.flatMap((x, k) => (x < limit ? [k] : []));
  const kept = prototypes.take(far);
  const mixed = hard ? hardPrototypes(text, kept, limit, edge ?? border(text, mixes.length), mixes) : [];
  const bank = Matrix.of([...far.map((_, k) => kept.row(k)), ...mixed.map(({ row }) => row)], text.columns);
  const source = [...far.keys(), ...mixed.map(({ from }) => from)];
  let called; // the nearest word of each kept prototype, found when a picture is read
  const name = (k) => {
    called ??= Array.from({ length: kept.rows }, (_, row) => top(words.text.times(kept.row(row)), 1)[0]);
    return words.places[called[source[k]]];
  };
  return (feature) => {
    const logits = scaled(text.times(feature), temperature);
    const others = scaled(bank.times(feature), temperature);
    const known = logSumExp(logits);
    const whole = logSumExp([known, ...others]);
    const share = known - logSumExp(others);
    const noLogits = scaled(no.times(feature), temperature);
    const yes = useNo && meanShare(logits.map((x, k) => x - noLogits[k]), logits.map((x) => x - known));
    const score = useNo ? product(share, yes) : share;
    const found = () => {
      const taken = new Map();
      others.forEach((x, k) => taken.set(name(k), (taken.get(name(k)) ?? 0) + Math.exp(x - whole)));
      return taken;
    };
    return { score, shown: sigmoid(score), names: logits.map((x) => Math.exp(x - whole)), get words() { return found(); } };
  };
}

/** The names at the border of a single cluster of all of them: those of the smallest cosine with its centre. */
function border(text, each) {
  const centre = new Float32Array(text.columns);
  for (let k = 0; k < text.rows; k++) text.row(k).forEach((x, at) => (centre[at] += x));
  return top(text.times(normalize(centre)).map((x) => -x), Math.min(each, text.rows));
}

/** Names at the border mixed with their nearest prototype, where the mixture is far from every name. */
function hardPrototypes(text, kept, limit, edge, mixes) {
  return edge
    .map((place, at) => {
      const [name, share] = [text.row(place), mixes[at]];
      const from = top(kept.times(name), 1)[0];
      const row = normalize(kept.row(from).map((x, k) => share * name[k] + (1 - share) * x));
      return { row, from };
    })
    .filter(({ row }) => Math.max(...text.times(row)) < limit);
}
