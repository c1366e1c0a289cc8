// The page opens again without a connection: its own files are kept beside those of the detector (`files.js`).

const CACHE = "outliers-by-name-page";
const DETECTOR = /\?[0-9a-f]+$/; // files that are kept under their hash (`files.js`)

/** Keep what the page loads, from when the browser has nothing else to do. A connection is always asked first. */
export function keepPage(base) {
  // On a page that is not secure the browser has no such workers.
  if (navigator.serviceWorker) (globalThis.requestIdleCallback ?? setTimeout)(() => keep(base).catch(() => {}));
}

async function keep(base) {
  const site = new URL("../../", base).href;
  const page = location.href.split(/[?#]/)[0];
  await navigator.serviceWorker.register(`${site}try_it_worker.js`, { scope: page });
  const cache = await caches.open(CACHE);
  const known = new Set();

  async function copy(url) {
    if (known.has(url) || !url.startsWith(site) || DETECTOR.test(url)) return;
    known.add(url);
    const reply = await fetch(url, { cache: "force-cache" }); // which the browser has just loaded
    if (!reply.ok) return;
    await cache.delete(url, { ignoreSearch: true }); // of an older site
    await cache.put(url, reply);
  }

  await copy(page);
  const loaded = (list) => list.getEntries().forEach(({ name }) => copy(name).catch(() => {}));
  new PerformanceObserver(loaded).observe({ type: "resource", buffered: true });
}
