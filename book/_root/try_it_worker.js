/* Try it without a connection: what cannot be had is what `_static/tryit/offline.js` has kept.
 *
 * It lies at the root of the site, because a browser lets a worker serve pages of its own folder alone, and serves one.
 */
self.addEventListener("fetch", (event) => {
  const { request } = event;
  if (request.method === "GET") event.respondWith(fetch(request).catch(() => kept(request)));
});

async function kept(request) {
  return (await caches.match(request, { ignoreSearch: true, ignoreVary: true })) ?? Response.error();
}
