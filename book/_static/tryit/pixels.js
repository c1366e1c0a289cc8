// From a picture to what the image tower reads: the numbers of `LightEncoder.pixels`, which are Pillow's.
//
// A browser's own scaling leaves out pixels where a picture gets much smaller, so the scaling is written here as Pillow
// does it: bicubic, its support widened by the factor, along the rows and then along the columns (of tall pictures the
// other way round), each sum in whole numbers of 22 bits behind the point and rounded to a grey level.

const BITS = 22; // behind the point of a coefficient
const BAND = 64; // rows that are read at a time: a large picture is never unpacked as a whole
const FAR = 32; // times as long as wide; of what is longer only the middle counts
const MOST = 100_000_000; // pixels, as in `oodlib.datasets.pixels`

/** The model's square of an ImageData: Uint8Array of (size, size, 3). */
export function square(picture, size) {
  return squareOf(picture, size, rowsOf(picture));
}

/** The same of an ImageBitmap, which a canvas unpacks a band at a time, on white. */
export function squareOfBitmap(bitmap, size) {
  let canvas, context;
  return squareOf(bitmap, size, (left, top, width, height) => {
    if (canvas?.width !== width || canvas.height < height) {
      canvas = new OffscreenCanvas(width, height);
      context = canvas.getContext("2d", { willReadFrequently: true });
      context.imageSmoothingEnabled = false;
    }
    context.fillStyle = "white";
    context.fillRect(0, 0, width, height);
    context.drawImage(bitmap, left, top, width, height, 0, 0, width, height);
    return context.getImageData(0, 0, width, height).data;
  });
}

/** Grey levels as the tower takes them: Float32Array, (x / 255 - mean) / std in single precision. */
export function normal(levels, { mean, std }) {
  const f = Math.fround;
  const table = Float32Array.from({ length: 256 }, (_, x) => f(f(f(x / 255) - f(mean)) / f(std)));
  const out = new Float32Array(levels.length);
  for (let k = 0; k < out.length; k++) out[k] = table[levels[k]];
  return out;
}

/** What is cut out of a picture and to what it is scaled, or null for a picture that is too large. */
export function frame(width, height, size) {
  if (width * height > MOST) return null;
  const cut = (side, other) => Math.floor((side - Math.min(side, FAR * other)) / 2);
  const [left, top] = [cut(width, height), cut(height, width)];
  const inner = { left, top, width: width - 2 * left, height: height - 2 * top };
  const short = Math.min(inner.width, inner.height);
  const scaled = [inner.width, inner.height].map((side) => Math.floor((size * side) / short));
  const offset = scaled.map((side) => halfToEven((side - size) / 2));
  // Which way Pillow 13 goes first. The rounding between the two passes makes it matter, by up to 18 levels at edges.
  const downFirst = short > size && inner.height - scaled[1] > 2 * (inner.width - scaled[0]);
  return { ...inner, scaled, offset, downFirst };
}

function squareOf({ width, height }, size, read) {
  const at = frame(width, height, size);
  if (!at) throw new RangeError(`the picture has ${width} x ${height} pixels: scale it down first`);
  if (at.width === size && at.height === size) return withoutAlpha(onWhite(read(at.left, at.top, size, size)));
  const across = weights(at.width, at.scaled[0], at.offset[0], size);
  const down = weights(at.height, at.scaled[1], at.offset[1], size);
  // Only these columns and rows are seen by any pixel of the square.
  const [first, last] = span(across);
  const [top, bottom] = span(down);
  const columns = last - first;
  const bands = function* () {
    for (let row = top; row < bottom; row += BAND) {
      const rows = Math.min(BAND, bottom - row);
      yield [row, rows, onWhite(read(at.left + first, at.top + row, columns, rows))];
    }
  };
  if (at.downFirst) {
    const low = squeeze(bands(), columns, down);
    const out = new Uint8Array(size * size * 3);
    alongRows(low, 3, columns, size, first, across, out);
    return out;
  }
  const narrow = new Uint8Array((bottom - top) * size * 3);
  for (const [row, rows, pixels] of bands()) {
    alongRows(pixels, 4, columns, rows, first, across, narrow.subarray((row - top) * size * 3));
  }
  return alongColumns(narrow, top, down, size);
}

function span(weights) {
  return [weights[0].start, Math.max(...weights.map((one) => one.start + one.factors.length))];
}

/** Where a new pixel's sum starts and its factors, for `size` pixels from `offset` on; one factor where none moves. */
function weights(from, to, offset, size) {
  const scale = from / to;
  const wide = Math.max(scale, 1);
  return Array.from({ length: size }, (_, k) => {
    if (from === to) return { start: k + offset, factors: Int32Array.of(1 << BITS) };
    const centre = (k + offset + 0.5) * scale;
    const start = Math.max(0, Math.trunc(centre - 2 * wide + 0.5));
    const end = Math.min(from, Math.trunc(centre + 2 * wide + 0.5));
    const raw = Array.from({ length: end - start }, (_, x) => bicubic((x + start - centre + 0.5) * (1 / wide)));
    const sum = raw.reduce((a, b) => a + b, 0);
    const whole = raw.map((w) => w / sum).map((w) => Math.trunc(w * 2 ** BITS + (w < 0 ? -0.5 : 0.5)));
    return { start, factors: Int32Array.from(whole) };
  });
}

/** Keys' kernel with a = -1/2. */
function bicubic(distance) {
  const [x, a] = [Math.abs(distance), -0.5];
  if (x < 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
  return x < 2 ? (((x - 5) * x + 8) * x - 4) * a : 0;
}

function alongRows(pixels, step, columns, rows, first, across, into) {
  for (let row = 0, place = 0; row < rows; row++) {
    for (const { start, factors } of across) {
      let [red, green, blue] = [1 << (BITS - 1), 1 << (BITS - 1), 1 << (BITS - 1)];
      let at = step * (row * columns + start - first);
      for (let k = 0; k < factors.length; k++, at += step) {
        red += pixels[at] * factors[k];
        green += pixels[at + 1] * factors[k];
        blue += pixels[at + 2] * factors[k];
      }
      into[place++] = level(red);
      into[place++] = level(green);
      into[place++] = level(blue);
    }
  }
}

function alongColumns(narrow, top, down, size) {
  const line = 3 * size;
  const out = new Uint8Array(size * line);
  down.forEach(({ start, factors }, y) => {
    for (let place = 0; place < line; place++) {
      let sum = 1 << (BITS - 1);
      for (let k = 0, at = (start - top) * line + place; k < factors.length; k++, at += line) {
        sum += narrow[at] * factors[k];
      }
      out[y * line + place] = level(sum);
    }
  });
  return out;
}

/** The columns of a whole picture scaled first: RGB of `down.length` rows, summed up a band at a time. */
function squeeze(bands, columns, down) {
  const line = 3 * columns;
  const sums = new Int32Array(down.length * line).fill(1 << (BITS - 1));
  for (const [row, rows, pixels] of bands) {
    down.forEach(({ start, factors }, y) => {
      const end = Math.min(start + factors.length, row + rows);
      for (let source = Math.max(start, row); source < end; source++) {
        const factor = factors[source - start];
        for (let x = 0, at = 4 * (source - row) * columns, to = y * line; x < columns; x++, at += 4, to += 3) {
          sums[to] += pixels[at] * factor;
          sums[to + 1] += pixels[at + 1] * factor;
          sums[to + 2] += pixels[at + 2] * factor;
        }
      }
    });
  }
  return Uint8Array.from(sums, level);
}

function withoutAlpha(rgba) {
  const out = new Uint8Array((rgba.length / 4) * 3);
  for (let k = 0, at = 0; k < rgba.length; k += 4) {
    out[at++] = rgba[k];
    out[at++] = rgba[k + 1];
    out[at++] = rgba[k + 2];
  }
  return out;
}

function level(sum) {
  const value = sum >> BITS;
  return value < 0 ? 0 : value > 255 ? 255 : value;
}

/** Lay transparency on white in place, with Pillow's rounding. */
function onWhite(rgba) {
  for (let k = 3; k < rgba.length; k += 4) {
    const alpha = rgba[k];
    if (alpha === 255) continue;
    for (let c = k - 3; c < k; c++) {
      const sum = rgba[c] * alpha + 255 * (255 - alpha) + 128;
      rgba[c] = (sum + (sum >> 8)) >> 8;
    }
  }
  return rgba;
}

function rowsOf({ data, width }) {
  return (left, top, columns, rows) => {
    const out = new Uint8ClampedArray(4 * columns * rows);
    for (let y = 0; y < rows; y++) {
      const from = 4 * ((top + y) * width + left);
      out.set(data.subarray(from, from + 4 * columns), 4 * y * columns);
    }
    return out;
  };
}

/** Round halves to the even neighbour, as Python does. */
function halfToEven(x) {
  const low = Math.floor(x);
  return x - low === 0.5 ? low + (low % 2) : Math.round(x);
}
