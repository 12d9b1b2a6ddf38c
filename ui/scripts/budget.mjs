// Fails when the scripts that the page needs at first weigh more than allowed. MapLibre and lazy parts are apart.
import { readFileSync, writeFileSync } from "node:fs";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";

const LIMIT_KB = 200;
const dist = new URL("../dist/", import.meta.url).pathname;
const manifest = JSON.parse(readFileSync(join(dist, ".vite/manifest.json"), "utf-8"));

function staticFiles(key, seen = new Set()) {
  const { file, imports = [] } = manifest[key];
  if (seen.has(file)) return seen;
  seen.add(file);
  for (const one of imports) staticFiles(one, seen);
  return seen;
}

const files = [...staticFiles("src/start.tsx", staticFiles("index.html"))].filter((file) => file.endsWith(".js"));
const kb = files.reduce((sum, file) => sum + gzipSync(readFileSync(join(dist, file))).length, 0) / 1000;
console.log(`initial scripts: ${kb.toFixed(1)} kB gzip of ${LIMIT_KB} kB (${files.join(", ")})`);
if (kb > LIMIT_KB) {
  console.error("the first load is too heavy: load what it does not need with import()");
  process.exit(1);
}

for (const name of readdirSync(join(dist, "assets"))) {
  if (/\.(js|css|json)$/.test(name)) writeFileSync(join(dist, "assets", `${name}.gz`), gzipSync(readFileSync(join(dist, "assets", name)), { level: 9 }));
}
