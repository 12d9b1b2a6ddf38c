// The built page, with baselines beside it, and no API.
import { createReadStream, existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { extname, join, normalize } from "node:path";
import { fileURLToPath } from "node:url";

const page = fileURLToPath(new URL("../dist", import.meta.url));
const data = process.env.UI_DATA ?? "";
const TYPES = { ".html": "text/html", ".js": "text/javascript", ".mjs": "text/javascript", ".css": "text/css", ".json": "application/json", ".svg": "image/svg+xml", ".tif": "image/tiff" };

function baselines() {
  const folder = join(data, "home/store/baselines/dynamic-world");
  const notes = readdirSync(folder).filter((name) => name.endsWith(".json")).sort();
  return notes.map((name) => {
    const { year, partial_from, bounds } = JSON.parse(readFileSync(join(folder, name), "utf-8"));
    return { year, partial_from, bounds, cog: `./baselines/dynamic-world/${year}.tif`, tiles: [] };
  });
}

function send(request, response, file) {
  const { size } = statSync(file);
  const range = /^bytes=(\d+)-(\d*)$/.exec(request.headers.range ?? "");
  const start = range ? Number(range[1]) : 0;
  const end = range && range[2] !== "" ? Math.min(Number(range[2]), size - 1) : size - 1;
  const headers = { "content-type": TYPES[extname(file)] ?? "application/octet-stream", "content-length": end - start + 1, "accept-ranges": "bytes" };
  response.writeHead(range ? 206 : 200, range ? { ...headers, "content-range": `bytes ${start}-${end}/${size}` } : headers);
  createReadStream(file, { start, end }).pipe(response);
}

/** Answers a request for the page, its baselines or nothing. */
export function answer(request, response) {
  const path = normalize(decodeURIComponent(new URL(request.url ?? "/", "http://localhost").pathname));
  if (path === "/baselines.json" && data !== "") {
    response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify({ baselines: baselines() }));
    return;
  }
  const file = path.startsWith("/baselines/") ? join(data, "home/store", path) : join(page, path === "/" ? "index.html" : path);
  if (existsSync(file) && statSync(file).isFile()) send(request, response, file);
  else response.writeHead(404, { "content-type": "application/problem+json" }).end("{}");
}
