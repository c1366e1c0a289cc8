/* What is counted at a cut over scores, as in oodlib.evaluation: at or above the cut a picture passes.
 *
 * A classic script, so that pages opened from disk may use it; modules import it for what it leaves in `oodlibRates`.
 */
(() => {
  "use strict";

  /** How many of some rising scores lie below a cut. */
  function below(rising, cut) {
    let [low, high] = [0, rising.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (rising[middle] < cut) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** The fewest of n that are at least 95 % of them. */
  function most(n) {
    let k = 1;
    while (k / n < 0.95) k++;
    return k;
  }

  /** The largest cut that keeps 95 % of the ID pictures: behind `fpr95`. */
  const keeping = (inside) => inside[inside.length - most(inside.length)];

  /** The smallest score above the OOD score that 95 % of them do not exceed, or infinity: behind `fpr95_ood`. */
  function catching(inside, outside) {
    const last = outside[most(outside.length) - 1];
    const above = [inside, outside].map((rising) => rising.find((score) => score > last) ?? Infinity);
    return Math.min(...above);
  }

  /** OOD accepted and ID kept, as shares, at every cut from the strictest to the most lenient. */
  function curve(inside, outside) {
    const cuts = [...new Set([...inside, ...outside])].sort((a, b) => b - a);
    const share = (rising, cut) => (rising.length - below(rising, cut)) / rising.length;
    return [[0, 0], ...cuts.map((cut) => [share(outside, cut), share(inside, cut)])];
  }

  /** The range of some sets of rising scores, with room so that a cut can lie beyond every score. */
  function range(sets) {
    const filled = sets.filter((rising) => rising.length);
    const [low, high] = [Math.min(...filled.map((s) => s[0])), Math.max(...filled.map((s) => s[s.length - 1]))];
    const room = 0.02 * (high - low) || 1;
    return [low - room, high + room];
  }

  /** The share of some scores in each of so many equal parts of a range. */
  function shares(scores, [low, high], bins) {
    const counts = new Array(bins).fill(0);
    for (const score of scores) counts[Math.min(bins - 1, Math.floor((bins * (score - low)) / (high - low)))]++;
    return counts.map((count) => count / scores.length);
  }

  /** The outline of a histogram of shares in a square of 100, as high as `top`: the path of an SVG. */
  function outline(heights, top) {
    const width = 100 / heights.length;
    const tops = heights.map((share) => 100 - (96 * share) / top);
    return `M0,100${tops.map((y, k) => `L${k * width},${y}H${(k + 1) * width}`).join("")}V100Z`;
  }

  const percent = (k, n) => `${((100 * k) / n).toFixed(1)}\u00a0%`;

  globalThis.oodlibRates = { below, keeping, catching, curve, range, shares, outline, percent };
})();
