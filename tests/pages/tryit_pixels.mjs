// Reads {"width", "height", "size", "file"} a line, each file raw RGBA; writes the squares one after another.
import { readFileSync } from "node:fs";
import { square } from "../../book/_static/tryit/pixels.js";

for (const line of readFileSync(0, "utf8").trim().split("\n")) {
  const { width, height, size, file } = JSON.parse(line);
  process.stdout.write(square({ width, height, data: new Uint8ClampedArray(readFileSync(file)) }, size));
}
