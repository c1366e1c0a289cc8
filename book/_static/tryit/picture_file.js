/* From a file to a picture, turned as it was shot; what the library refuses, or a browser would read otherwise, is
 * refused in a sentence. */

const MOST_PIXELS = 100e6; // as in oodlib.datasets.pixels
const MOST_BYTES = 2 ** 28;
const ASKED = { imageOrientation: "from-image", premultiplyAlpha: "none", colorSpaceConversion: "none" };

/** What is wrong with a JPEG that a browser would let pass: the colours of printers, or an end that is missing. */
export function jpegTrouble(bytes) {
  if (bytes[0] !== 0xff || bytes[1] !== 0xd8) return "";
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let at = 2;
  while (at + 4 <= bytes.length && bytes[at] === 0xff) {
    const marker = bytes[at + 1];
    if (marker === 0xff) {
      at += 1; // a byte that fills
      continue;
    }
    const frame = marker >= 0xc0 && marker <= 0xcf && ![0xc4, 0xc8, 0xcc].includes(marker);
    if (frame && bytes[at + 9] === 4) return "is in CMYK, the colours of printers: save it in RGB.";
    if (marker === 0xda) break;
    at += 2 + view.getUint16(at + 2);
  }
  for (let k = bytes.length - 2; k >= at; k--) if (bytes[k] === 0xff && bytes[k + 1] === 0xd9) return "";
  return "is damaged, its end is missing: get the whole file.";
}

/** Width and height, from an image element, which does not decode all pixels for that. */
async function sizeOf(file) {
  const address = URL.createObjectURL(file);
  try {
    const image = new Image();
    await new Promise((resolve, reject) => Object.assign(image, { onload: resolve, onerror: reject, src: address }));
    return [image.naturalWidth, image.naturalHeight];
  } finally {
    URL.revokeObjectURL(address);
  }
}

/**
 * A picture from a file.
 *
 * @param {Blob} file
 * @returns {Promise<ImageBitmap>}
 * @throws {Error} with the end of a sentence that begins with the file's name
 */
export async function readPicture(file) {
  if (!file.size) throw new Error("is empty: choose another file.");
  if (file.size > MOST_BYTES) throw new Error("is too large for this page: save it smaller.");
  const unreadable = () => {
    throw new Error("cannot be read: it is damaged, or no picture that this browser knows (PNG, JPEG, WebP, GIF).");
  };
  const trouble = jpegTrouble(new Uint8Array(await file.arrayBuffer().catch(unreadable)));
  if (trouble) throw new Error(trouble);
  const [width, height] = await sizeOf(file).catch(unreadable);
  if (width * height > MOST_PIXELS) {
    const [w, h] = [width, height].map((side) => side.toLocaleString("en"));
    throw new Error(`has ${w} × ${h} pixels, more than 100 million: scale it down.`);
  }
  return createImageBitmap(file, ASKED).catch(unreadable);
}
