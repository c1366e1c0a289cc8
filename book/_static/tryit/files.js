// Files of the page, with progress. What has been loaded once is kept by the browser, where it lets a page keep
// anything, under its hash, so that a newer site is noticed.

const CACHE = "outliers-by-name";

/** A counter for several files that load at once: `track(bytes)` gives a function to tell how many are there. */
export function progressOf(onProgress, total) {
  let done = 0;
  return () => {
    let own = 0;
    return (bytes) => {
      done += bytes - own;
      own = bytes;
      onProgress?.(Math.min(done, total), total);
    };
  };
}

/** The bytes of a file as the manifest lists it: { path, bytes, sha256 }; what is packed (gzip) is unpacked. */
export async function bytesOf({ path, bytes, sha256 }, base, told = () => {}) {
  const url = new URL(`${path}?${sha256}`, base).href;
  const kept = await keptFiles();
  const found = await (await kept?.match(url))?.blob();
  const content = found ?? (await load(url, told));
  if (!content) throw new Error(`${path} cannot be loaded: check the connection and try again`);
  if (content.size !== bytes) {
    await kept?.delete(url);
    throw new Error(`${path} is not whole: load the page again`);
  }
  told(bytes);
  if (kept && !found) await keep(kept, url, content);
  if (!path.endsWith(".packed")) return new Uint8Array(await content.arrayBuffer());
  const stream = content.stream().pipeThrough(new DecompressionStream("gzip"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

/**
 * A Blob, or null. It comes by XMLHttpRequest, which gathers a file outside of the page and tells how far it is: read
 * piece by piece in the page, it takes three times the processor.
 */
function load(url, told) {
  return new Promise((resolve) => {
    const request = new XMLHttpRequest();
    request.open("GET", url);
    request.responseType = "blob";
    request.onprogress = ({ loaded }) => told(loaded);
    request.onload = () => resolve(request.status === 200 ? request.response : null);
    request.onerror = () => resolve(null);
    request.send();
  });
}

/** The browser's store, or null where it has none: on a page that is not secure, or in a private window. */
async function keptFiles() {
  try {
    return await globalThis.caches.open(CACHE);
  } catch {
    return null;
  }
}

async function keep(kept, url, content) {
  try {
    const own = new URL(url);
    for (const { url: older } of await kept.keys()) {
      const other = new URL(older);
      if (other.origin === own.origin && other.pathname === own.pathname) await kept.delete(older);
    }
    await kept.put(url, new Response(content)); // a Blob is not copied
  } catch {
    // there is no room: the file is loaded again next time
  }
}
