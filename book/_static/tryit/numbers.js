// Rows of features and the few functions of `oodlib.arrays` and `oodlib.detectors._log_odds` that the detectors need.

/** Rows of one length, one behind the other. */
export class Matrix {
  constructor(data, columns) {
    [this.data, this.columns, this.rows] = [data, columns, data.length / columns];
  }

  static of(rows, columns) {
    const out = new Matrix(new Float32Array(rows.length * columns), columns);
    rows.forEach((row, k) => out.data.set(row, k * columns));
    return out;
  }

  row(k) {
    return this.data.subarray(k * this.columns, (k + 1) * this.columns);
  }

  take(places) {
    return Matrix.of(places.map((k) => this.row(k)), this.columns);
  }
}

/** Features in eight bits, as `oodlib.report.try_it.pack` writes them; rows are of length one. */
export class Packed {
  constructor(content, { rows, columns, offset }) {
    [this.rows, this.columns] = [rows, columns];
    const start = content.byteOffset + offset;
    this.scales = new DataView(content.buffer, start, 4 * rows);
    this.small = new Int8Array(content.buffer, start + 4 * rows, rows * columns);
  }

  row(k, out = new Float32Array(this.columns)) {
    const scale = this.scales.getFloat32(4 * k, true);
    for (let x = 0, at = k * this.columns; x < this.columns; x++, at++) out[x] = this.small[at] * scale;
    return out;
  }

  take(places) {
    const out = new Matrix(new Float32Array(places.length * this.columns), this.columns);
    places.forEach((place, k) => this.row(place, out.row(k)));
    return out;
  }

  all() {
    return this.take(Array.from({ length: this.rows }, (_, k) => k));
  }
}

/** Divide a vector by its length, in place. */
export function normalize(vector) {
  let sum = 0;
  for (const x of vector) sum += x * x;
  const length = Math.max(Math.sqrt(sum), 1e-12);
  for (let k = 0; k < vector.length; k++) vector[k] /= length;
  return vector;
}

export const scaled = (values, temperature) => values.map((x) => x / temperature);

export function argmax(values) {
  let best = 0;
  for (let k = 1; k < values.length; k++) if (values[k] > values[best]) best = k;
  return best;
}

/** Of all numbers, or of all but the one at a place. */
export function logSumExp(values, but = -1) {
  let [most, sum] = [-Infinity, 0];
  for (let k = 0; k < values.length; k++) if (k !== but && values[k] > most) most = values[k];
  if (most === -Infinity) return most;
  for (let k = 0; k < values.length; k++) if (k !== but) sum += Math.exp(values[k] - most);
  return most + Math.log(sum);
}

export const sigmoid = (x) => 1 / (1 + Math.exp(-x));
const logSigmoid = (x) => Math.min(x, 0) - Math.log1p(Math.exp(-Math.abs(x)));

/** Log-odds of the largest entry of a softmax. */
export function largestShare(logits) {
  const best = argmax(logits);
  return logits[best] - logSumExp(logits, best);
}

/** Log-odds of the weighted mean of shares that are given as log-odds. */
export function meanShare(odds, logWeights = odds.map(() => 0)) {
  const side = (sign) => logSumExp(odds.map((x, k) => logSigmoid(sign * x) + logWeights[k]));
  return side(1) - side(-1);
}

/** Log-odds of the product of two shares. */
export function product(odds, others) {
  const sure = logSigmoid(odds);
  return sure + logSigmoid(others) - logSumExp([logSigmoid(-odds), sure + logSigmoid(-others)]);
}

/** The interpolated quantile. */
export function quantile(values, q) {
  const rising = Float64Array.from(values).sort();
  const at = (rising.length - 1) * q;
  const low = Math.floor(at);
  return rising[low] + (at - low) * (rising[Math.min(low + 1, rising.length - 1)] - rising[low]);
}

/** The places of the largest numbers, falling; of equal ones the first comes first. */
export function top(values, count) {
  const best = [];
  for (let k = 0; k < values.length; k++) {
    if (best.length === count && !(values[k] > values[best[count - 1]])) continue;
    let at = best.length;
    while (at && values[k] > values[best[at - 1]]) at--;
    best.splice(at, 0, k);
    if (best.length > count) best.pop();
  }
  return best;
}

/** Shuffle 0 to n - 1 as `oodlib.arrays.permutation` does: with the Mersenne Twister, started by a whole number. */
export function permutation(n, seed) {
  const draw = twister(seed);
  const rows = Array.from({ length: n }, (_, k) => k);
  for (let place = 0; place < n - 1; place++) {
    const other = place + (draw() % (n - place));
    [rows[place], rows[other]] = [rows[other], rows[place]];
  }
  return rows;
}

/** MT19937 (Matsumoto and Nishimura, 1998): whole numbers of 32 bits. */
function twister(seed) {
  const [size, middle] = [624, 397];
  const state = new Uint32Array(size);
  state[0] = seed;
  for (let k = 1; k < size; k++) state[k] = Math.imul(1812433253, state[k - 1] ^ (state[k - 1] >>> 30)) + k;
  let at = size;
  return () => {
    if (at === size) {
      for (let k = 0; k < size; k++) {
        const y = (state[k] & 0x80000000) | (state[(k + 1) % size] & 0x7fffffff);
        state[k] = state[(k + middle) % size] ^ (y >>> 1) ^ (y & 1 ? 0x9908b0df : 0);
      }
      at = 0;
    }
    let y = state[at++];
    y ^= y >>> 11;
    y ^= (y << 7) & 0x9d2c5680;
    y ^= (y << 15) & 0xefc60000;
    return (y ^ (y >>> 18)) >>> 0;
  };
}
