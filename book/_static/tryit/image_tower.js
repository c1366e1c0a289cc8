// PocketCLIP's image tower: from pixels to a feature of length one, layer by layer (`oodlib.pocket.layers`).

import { bytesOf } from "./files.js";
import { startKernels } from "./kernels.js";
import { normalize } from "./numbers.js";

/** Load the kernels and the weights. */
export async function imageTower(manifest, base, track) {
  const { runtime, image } = manifest.files;
  const [binary, weights] = await Promise.all([
    bytesOf(runtime.find(({ path }) => path.endsWith(".wasm.packed")), base, track()),
    bytesOf(image[0], base, track()),
  ]);
  const kernels = await startKernels(binary);
  const { layers, size } = manifest.image;
  const [input, steps, output] = plan(kernels, layers, size[0], weightsOf(kernels, layers, weights));
  return {
    /** The feature of one picture, from `normal` of `pixels.js`. */
    async encode(pixels) {
      input.values.set(pixels);
      for (const step of steps) step();
      return normalize(output.values.slice());
    },
  };
}

/** Of every layer its kernel, scaled as its channels are, and its bias: `pack_layers` wrote scales, biases, kernels. */
function weightsOf(kernels, layers, { buffer, byteOffset, byteLength }) {
  const outputs = ({ kernel, apart }) => kernel[apart ? 2 : 3];
  const count = layers.reduce((sum, layer) => sum + 2 * outputs(layer), 0);
  const numbers = new Float32Array(buffer, byteOffset, count);
  const halves = new Uint16Array(buffer, byteOffset + 4 * count, (byteLength - 4 * count) / 2);
  const wide = halfTable();
  let [number, half] = [0, 0];
  return layers.map((layer) => {
    const channels = outputs(layer);
    const scale = numbers.subarray(number, (number += channels));
    const bias = kernels.array(channels);
    bias.values.set(numbers.subarray(number, (number += channels)));
    const length = layer.kernel.reduce((a, b) => a * b);
    const weight = kernels.array(length);
    const values = weight.values;
    for (let k = 0; k < length; ) {
      for (let c = 0; c < channels; c++, k++) values[k] = wide[halves[half + k]] * scale[c];
    }
    half += length;
    return { weight, bias };
  });
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

/** What every number in half precision is in single precision. */
function halfTable() {
  const table = new Float32Array(1 << 16);
  for (let bits = 0; bits < 1 << 15; bits++) {
    const [power, part] = [bits >> 10, bits & 1023];
    table[bits] = power ? 2 ** (power - 15) * (1 + part / 1024) : 2 ** -24 * part;
    table[bits | (1 << 15)] = -table[bits];
  }
  return table; // without infinities, which no weight is
}
