// Opens the engine over a folder of the site and answers jobs, read as JSON from standard input: a list of
// { names, pictures: [{ width, height, file }] }. Writes a list of
// { unknown, notes, features, read: { detector: [reading of each picture] }, reference: { detector: scores } }.
import { existsSync, readFileSync } from "node:fs";
import { createServer } from "node:http";
import { createRequire } from "node:module";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

const folder = process.argv[2];
const server = createServer((request, reply) => {
  const path = join(folder, decodeURIComponent(new URL(request.url, "http://x").pathname));
  reply.setHeader("Connection", "close");
  reply.writeHead(existsSync(path) ? 200 : 404);
  reply.end(existsSync(path) ? readFileSync(path) : "");
});
await new Promise((ready) => server.listen(0, "127.0.0.1", ready));
const base = `http://127.0.0.1:${server.address().port}/`;
const { SIZES, open } = await import(pathToFileURL(join(folder, "engine.js")).href);

// What node lacks: for a module what the script of the kernels asks node for, and the request of browsers.
Object.assign(globalThis, {
  require: createRequire(import.meta.url),
  __dirname: folder,
  XMLHttpRequest: class {
    open(_, url) {
      this.url = url;
    }
    async send() {
      const reply = await fetch(this.url);
      [this.status, this.response] = [reply.status, await reply.blob()];
      this.onprogress({ loaded: Math.floor(this.response.size / 2) });
      this.onload();
    }
  },
});

const progress = [];
const engine = await open({ base, onProgress: (done, total) => progress.push([done, total]) });
const keys = engine.detectors.map(({ key }) => key);
const answers = [];
for (const { names, pictures } of JSON.parse(readFileSync(0, "utf8"))) {
  const { unknown, notes } = await engine.setNames(names);
  const features = [];
  for (const { width, height, file } of pictures) {
    const data = new Uint8ClampedArray(readFileSync(file));
    features.push((await engine.decide({ width, height, data })).features);
  }
  const every = (make) => Object.fromEntries(keys.map((key) => [key, make(key)]));
  const read = every((key) => features.map((feature) => engine.read(feature, key)));
  const reference = every((key) => {
    const { id, far, cut } = engine.reference(key);
    return { id: [...id], far: [...far], cut };
  });
  answers.push({ unknown, notes, features: features.map((feature) => [...feature]), read, reference });
}
server.close();
process.stdout.write(JSON.stringify({ sizes: SIZES, progress, defaults: engine.defaults, answers }));
