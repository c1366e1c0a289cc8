// Five detectors, each as in `oodlib.detectors`: larger scores are more in-distribution, and where a method's formula is
// a share, scores are its log-odds. `oodlib.report.try_it.page_detectors` names their parameters; where those do not
// say otherwise a test holds every score against the library's.
//
// `fit` gives two functions of a picture's feature and its cosines with the names. `score` is what `score_samples` gives.
// `read` tells how a score came about:
//   names   the share of each name
//   words   by outlier word in use (its place in the vocabulary), the share that it takes; empty where there is none
// `shown` turns a score into the paper's scale.

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
  return mcm({ temperature: 1 / concepts.logitScale });
}

function mcm({ temperature }) {
  return {
    // with one name no picture differs from another
    score: (_, cosines) => (cosines.length > 1 ? largestShare(scaled(cosines, temperature)) : 0),
    read: (_, cosines) => ({ names: shares(scaled(cosines, temperature)), words: NONE }),
    shown: sigmoid,
  };
}

function energy({ temperature }, { logitScale }) {
  const tau = temperature ?? 1 / logitScale;
  return {
    score: (_, cosines) => tau * logSumExp(scaled(cosines, tau)),
    read: (_, cosines) => ({ names: shares(scaled(cosines, tau)), words: NONE }),
    shown: (score) => score,
  };
}

function negLabel({ quantile: q, keep, groups, temperature, random_state: seed }, { text, words }) {
  const near = words.places.map((_, k) => quantile(text.times(words.text.row(k)), q));
  const farthest = top(near.map((x) => -x), Math.max(1, Math.floor(near.length * keep)));
  const count = Math.min(groups, farthest.length);
  const size = Math.floor(farthest.length / count);
  const dealt = permutation(count * size, seed).map((k) => farthest[k]);
  const labels = words.text.take(dealt);
  /** Logits of names and of labels, and of each group the logarithm of its sum. */
  const compare = (feature, cosines) => {
    const [known, unknown] = [scaled(cosines, temperature), scaled(labels.times(feature), temperature)];
    const sums = Float64Array.from({ length: count }, (_, g) => logSumExp(unknown.subarray(g * size, (g + 1) * size)));
    return { known, unknown, sums };
  };
  return {
    score(feature, cosines) {
      const { known, sums } = compare(feature, cosines);
      const own = logSumExp(known);
      return meanShare(sums.map((x) => own - x));
    },
    read(feature, cosines) {
      const { known, unknown, sums } = compare(feature, cosines);
      const own = logSumExp(known);
      const wholes = sums.map((x) => logSumExp([own, x]));
      const inside = wholes.reduce((total, whole) => total + Math.exp(own - whole) / count, 0);
      const part = (at) => Math.exp(unknown[at] - wholes[Math.floor(at / size)]) / count;
      const taken = dealt.map((k, at) => [words.places[k], part(at)]);
      return { names: shares(known).map((share) => share * inside), words: new Map(taken) };
    },
    shown: sigmoid,
  };
}

function ole({ quantile: q, temperature, use_no: useNo, hard }, { text, no, words, prototypes, mixes, edge }) {
  const near = Array.from({ length: prototypes.rows }, (_, k) => Math.max(...text.times(prototypes.row(k))));
  const limit = quantile(near, q);
  const kept = prototypes.take(near.flatMap((x, k) => (x < limit ? [k] : [])));
  const mixed = hard ? hardPrototypes(text, kept, limit, edge ?? border(text, mixes.length), mixes) : [];
  const own = Array.from({ length: kept.rows }, (_, k) => kept.row(k));
  const bank = Matrix.of([...own, ...mixed.map(({ row }) => row)], text.columns);
  const source = [...Array.from({ length: kept.rows }, (_, k) => k), ...mixed.map(({ from }) => from)];
  let called; // the outlier word nearest to each kept prototype, found when a picture is first read
  return {
    score(feature, cosines) {
      const logits = scaled(cosines, temperature);
      const known = logSumExp(logits);
      const share = known - logSumExp(scaled(bank.times(feature), temperature));
      if (!useNo) return share;
      const against = scaled(no.times(feature), temperature);
      const yes = logits.map((x, k) => x - against[k]);
      return product(share, meanShare(yes, logits.map((x) => x - known)));
    },
    read(feature, cosines) {
      called ??= Array.from({ length: kept.rows }, (_, k) => words.places[top(words.text.times(kept.row(k)), 1)[0]]);
      const [logits, others] = [scaled(cosines, temperature), scaled(bank.times(feature), temperature)];
      const whole = logSumExp([...logits, ...others]);
      const taken = new Map();
      others.forEach((x, k) => {
        const word = called[source[k]];
        taken.set(word, (taken.get(word) ?? 0) + Math.exp(x - whole));
      });
      return { names: logits.map((x) => Math.exp(x - whole)), words: taken };
    },
    shown: sigmoid,
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
