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
  const found = await kept?.match(url);
  const reply = found ?? (await fetch(url).catch(() => null));
  if (!reply?.ok) throw new Error(`${path} cannot be loaded: check the connection and try again`);
  const content = await read(reply, bytes, told);
  if (content.length !== bytes) {
    await kept?.delete(url);
    throw new Error(`${path} is not whole: load the page again`);
  }
  if (kept && !found) await keep(kept, url, content);
  return path.endsWith(".packed") ? unpacked(content) : content;
}

async function unpacked(content) {
  const stream = new Blob([content]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

async function read(reply, bytes, told) {
  const content = new Uint8Array(bytes);
  let place = 0;
  for (const reader = reply.body.getReader(); ; ) {
    const { done, value } = await reader.read();
    if (done) return content.subarray(0, place);
    if (place + value.length > bytes) return new Uint8Array(bytes + 1); // longer than it should be
    content.set(value, place);
    told((place += value.length));
  }
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
    await kept.put(url, new Response(content));
  } catch {
    // there is no room: the file is loaded again next time
  }
}
