// PocketCLIP's image tower: from pixels to a feature of length one, layer by layer (`oodlib.pocket.layers`).

import { normalize } from "./numbers.js";

/** The tower with these weights: from what `normal` of `pixels.js` gives to a feature. */
export function imageTower(kernels, { layers, size }, weights) {
  const [input, steps, output] = plan(kernels, layers, size[0], weightsOf(kernels, layers, weights));
  return (pixels) => {
    input.values.set(pixels);
    for (const step of steps) step();
    return normalize(output.values.slice());
  };
}

/** Of every layer its kernel, scaled as its channels are, and its bias: `pack_layers` wrote scales, biases, kernels. */
function weightsOf(kernels, layers, { buffer, byteOffset, byteLength }) {
  const outputs = ({ kernel, apart }) => kernel[apart ? 2 : 3];
  const count = layers.reduce((sum, layer) => sum + 2 * outputs(layer), 0);
  const numbers = new Float32Array(buffer, byteOffset, count);
  const halves = new Int16Array(buffer, byteOffset + 4 * count, (byteLength - 4 * count) / 2);
  let [number, half] = [0, 0];
  return layers.map((layer) => {
    const channels = outputs(layer);
    const scale = numbers.subarray(number, (number += channels));
    const bias = kernels.array(channels);
    bias.values.set(numbers.subarray(number, (number += channels)));
    const weight = kernels.array(layer.kernel.reduce((a, b) => a * b));
    widen(halves.subarray(half, (half += weight.values.length)), scale, weight.values);
    return { weight, bias };
  });
}

/**
 * From half to single precision, times the scale of the channel. Shifted into their place, sign, exponent and fraction
 * are those of a number too small by the difference of the two exponents' offsets; none is infinite.
 */
function widen(halves, scale, into) {
  const bits = new Int32Array(into.buffer, into.byteOffset, into.length);
  const factor = scale.map((x) => x * 2 ** (127 - 15));
  for (let k = 0; k < halves.length; ) {
    for (let c = 0; c < factor.length; c++, k++) {
      bits[k] = (halves[k] << 13) & 0x8fffffff; // the sign is there already, in each of the bits above
      into[k] = Math.fround(into[k] * factor[c]);
    }
  }
}

/** Arrays for all maps, and what is done with them one after another: [first, steps, last]. */
function plan(kernels, layers, size, weights) {
  const input = kernels.array(size * size * layers[0].kernel[2]);
  const steps = [];
  const maps = [];
  let [from, side] = [input, size];
  layers.forEach((layer, k) => {
    const { kernel, apart, stride, pool, add } = layer;
    if (pool) {
      const [whole, mean] = [from, kernels.array(kernel[2])];
      steps.push(() => average(whole.values, mean.values));
      [from, side] = [mean, 1];
    }
    const smaller = Math.ceil(side / stride);
    const to = kernels.array(smaller * smaller * kernel[apart ? 2 : 3]);
    steps.push(kernels.convolution(layer, side, from, weights[k].weight, weights[k].bias, to));
    if (add !== null) steps.push(() => increase(to.values, maps[add].values));
    maps.push(to);
    [from, side] = [to, smaller];
  });
  return [input, steps, from];
}

function average(map, into) {
  const channels = into.length;
  into.fill(0);
  for (let k = 0; k < map.length; ) for (let c = 0; c < channels; c++, k++) into[c] += map[k];
  for (let c = 0; c < channels; c++) into[c] *= channels / map.length;
}

function increase(map, by) {
  for (let k = 0; k < map.length; k++) map[k] += by[k];
}
