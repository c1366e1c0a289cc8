// Five detectors, each as in `oodlib.detectors`: larger scores are more in-distribution, and where a method's formula is
// a share, scores are its log-odds. `oodlib.report.try_it.page_detectors` names their parameters; where those do not
// say otherwise a test holds every score against the library's.
//
// `fit` gives `against`, the rows that pictures are compared with besides the names, and two functions of a picture's
// cosines, first with the names, then with each of `against`. `score` is what `score_samples` gives. `read` tells how a
// score came about:
//   names   the share of each name
//   words   by outlier word in use (its place in the vocabulary), the share that it takes; empty where there is none
// `shown` turns a score into the paper's scale.

import {
  Matrix,
  argmax,
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
 *   mixes: number[], logitScale: number, product: function(Matrix, Matrix): Matrix}} concepts `product`: of all rows
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
    against: [],
    // with one name no picture differs from another
    score: (cosines) => (cosines.length > 1 ? largestShare(scaled(cosines, temperature)) : 0),
    read: (cosines) => ({ names: shares(scaled(cosines, temperature)), words: NONE }),
    shown: sigmoid,
  };
}

function energy({ temperature }, { logitScale }) {
  const tau = temperature ?? 1 / logitScale;
  return {
    against: [],
    score: (cosines) => tau * logSumExp(scaled(cosines, tau)),
    read: (cosines) => ({ names: shares(scaled(cosines, tau)), words: NONE }),
    shown: (score) => score,
  };
}

function negLabel({ quantile: q, keep, groups, temperature, random_state: seed }, { text, words, product: times }) {
  const cosines = times(words.text, text);
  const near = words.places.map((_, k) => quantile(cosines.row(k), q));
  const farthest = top(near.map((x) => -x), Math.max(1, Math.floor(near.length * keep)));
  const count = Math.min(groups, farthest.length);
  const size = Math.floor(farthest.length / count);
  const dealt = permutation(count * size, seed).map((k) => farthest[k]);
  const labels = words.text.take(dealt);
  /** Logits of names and of labels, and of each group the logarithm of its sum. */
  const compare = (cosines, others) => {
    const [known, unknown] = [scaled(cosines, temperature), scaled(others, temperature)];
    const sums = Float64Array.from({ length: count }, (_, g) => logSumExp(unknown.subarray(g * size, (g + 1) * size)));
    return { known, unknown, sums };
  };
  return {
    against: [labels],
    score(cosines, others) {
      const { known, sums } = compare(cosines, others);
      const own = logSumExp(known);
      return meanShare(sums.map((x) => own - x));
    },
    read(cosines, others) {
      const { known, unknown, sums } = compare(cosines, others);
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

function ole({ quantile: q, temperature, use_no: useNo, hard }, concepts) {
  const { text, no, words, prototypes, mixes, edge, product: times } = concepts;
  const close = largestOfRows(times(prototypes, text));
  const limit = quantile(close, q);
  const kept = prototypes.take(close.flatMap((x, k) => (x < limit ? [k] : [])));
  const mixed = hard ? hardPrototypes(text, kept, limit, edge ?? border(text, mixes.length, times), mixes, times) : [];
  const own = Array.from({ length: kept.rows }, (_, k) => kept.row(k));
  const bank = Matrix.of([...own, ...mixed.map(({ row }) => row)], text.columns);
  const source = [...Array.from({ length: kept.rows }, (_, k) => k), ...mixed.map(({ from }) => from)];
  let called; // the outlier word nearest to each kept prototype, found when a picture is first read
  return {
    against: useNo ? [bank, no] : [bank],
    score(cosines, others, against) {
      const logits = scaled(cosines, temperature);
      const known = logSumExp(logits);
      const share = known - logSumExp(scaled(others, temperature));
      if (!useNo) return share;
      const refused = scaled(against, temperature);
      const yes = logits.map((x, k) => x - refused[k]);
      return product(share, meanShare(yes, logits.map((x) => x - known)));
    },
    read(cosines, others) {
      called ??= largestOfColumns(times(words.text, kept)).map((place) => words.places[place]);
      const logits = [cosines, others].flatMap((some) => Array.from(some, (x) => x / temperature));
      const whole = logSumExp(logits);
      const taken = new Map();
      logits.slice(text.rows).forEach((x, k) => {
        const word = called[source[k]];
        taken.set(word, (taken.get(word) ?? 0) + Math.exp(x - whole));
      });
      return { names: logits.slice(0, text.rows).map((x) => Math.exp(x - whole)), words: taken };
    },
    shown: sigmoid,
  };
}

/** The place of the largest number of each column. */
function largestOfColumns({ data, columns }) {
  return Array.from({ length: columns }, (_, column) => {
    let best = column;
    for (let at = column; at < data.length; at += columns) if (data[at] > data[best]) best = at;
    return (best - column) / columns;
  });
}

const largestOfRows = (table) => Array.from({ length: table.rows }, (_, k) => table.row(k)[argmax(table.row(k))]);

/** The names at the border of a single cluster of all of them: those of the smallest cosine with its centre. */
function border(text, each, times) {
  const centre = new Float32Array(text.columns);
  for (let k = 0; k < text.rows; k++) text.row(k).forEach((x, at) => (centre[at] += x));
  const close = times(text, Matrix.of([normalize(centre)], text.columns)).data;
  return top(close.map((x) => -x), Math.min(each, text.rows));
}

/** Names at the border mixed with their nearest prototype, where the mixture is far from every name. */
function hardPrototypes(text, kept, limit, edge, mixes, times) {
  const near = times(text.take(edge), kept);
  const mixed = edge.map((place, at) => {
    const [name, share] = [text.row(place), mixes[at]];
    const from = argmax(near.row(at));
    return { from, row: normalize(kept.row(from).map((x, k) => share * name[k] + (1 - share) * x)) };
  });
  const close = largestOfRows(times(Matrix.of(mixed.map(({ row }) => row), text.columns), text));
  return mixed.filter((_, at) => close[at] < limit);
}
