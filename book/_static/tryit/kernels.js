// Convolutions in WebAssembly: the kernels of TensorFlow.js (XNNPACK), called without the library in front of them.
//
// They know arrays by numbers that whoever calls gives out. A kernel keeps a weight in an order of its own from its first
// use on, so that weights must stay as they are.

import { Matrix } from "./numbers.js";

const GLUE = new URL("./vendor/tfjs-backend-wasm.mjs", import.meta.url).href;
const ACTIVATION = { plain: 0, clip: 2 }; // as in the library; "clip" is to 0 to 6 ("relu6")
const FLOAT = 4; // bytes

/** Start them, given the bytes of the WebAssembly module. */
export async function startKernels(wasmBinary) {
  const { default: start } = await import(GLUE);
  const wasm = await start({ wasmBinary });
  wasm._init();
  let last = 0; // of the numbers given out; 0 stands for none

  /** Room for so many numbers. Whole numbers (shapes) need no number of their own. */
  function room(length) {
    const place = wasm._malloc(length * FLOAT) >>> 0;
    if (!place) throw new RangeError("there is too little memory: close other pages and try again");
    return place;
  }

  function array(length) {
    const [id, place] = [++last, room(length)];
    wasm._register_tensor(id, length, place);
    return {
      id,
      /** Give it up. */
      free() {
        wasm._dispose_data(id);
        wasm._free(place);
      },
      /** The numbers, until memory grows: to be asked for each time. */
      get values() {
        return wasm.HEAPF32.subarray(place / FLOAT, place / FLOAT + length);
      },
    };
  }

  function shape(...sides) {
    const place = room(sides.length);
    wasm.HEAP32.set(sides, place / FLOAT);
    return place;
  }

  const multiply = (a, shapeA, b, shapeB, bias, activation, to) =>
    wasm.__FusedMatMul(a.id, shapeA, 3, b.id, shapeB, 3, 0, 0, activation, bias, 0, 0, to.id);

  /** Scalar products of every row of a matrix with every row of another, a row for each of the first. */
  function product(left, right) {
    const { columns } = left;
    const [a, b, to] = [left.data.length, right.data.length, left.rows * right.rows].map(array);
    const [shapeA, shapeB] = [shape(1, left.rows, columns), shape(1, columns, right.rows)];
    a.values.set(left.data);
    const turned = b.values;
    for (let k = 0, at = 0; k < right.rows; k++) {
      for (let x = 0; x < columns; x++, at++) turned[x * right.rows + k] = right.data[at];
    }
    multiply(a, shapeA, b, shapeB, 0, ACTIVATION.plain, to);
    const found = new Matrix(to.values.slice(), right.rows);
    for (const one of [a, b, to]) one.free();
    for (const place of [shapeA, shapeB]) wasm._free(place);
    return found;
  }

  return {
    array,
    product,
    /**
     * A convolution with its activation: () => nothing, from the array `from` to the array `to`. Of a square map of
     * `side`, channels last; `kernel` has [height, width, inputs, outputs].
     */
    convolution({ kernel, apart, stride, clip }, side, from, weight, bias, to) {
      const [height, width, inputs, outputs] = kernel;
      const activation = clip ? ACTIVATION.clip : ACTIVATION.plain;
      if (!apart && height * width * stride === 1) {
        const [a, b] = [shape(1, side * side, inputs), shape(1, inputs, outputs)];
        return () => multiply(from, a, weight, b, bias.id, activation, to);
      }
      const run = apart ? wasm._FusedDepthwiseConv2D : wasm._FusedConv2D;
      const after = apart ? inputs : outputs;
      // prettier-ignore
      return () =>
        run(
          from.id, 1, side, side, weight.id, height, width, bias.id,
          0, 0, 0, 0, 1, // no padding of its own but "same"
          1, 1, stride, stride, inputs, after, activation, 0, 0, to.id,
        );
    },
  };
}
