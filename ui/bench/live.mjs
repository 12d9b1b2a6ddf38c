// The page beside a job of many tiles that never ends: its events come as fast as they are asked for. On loopback only.
import { createServer } from "node:http";
import { answer } from "../tests/pages.mjs";

export const JOB = "many-tiles";
const PER_EVENT = 500;
const [WEST, NORTH, STEP] = [30.99, -17.76, 0.0015];

const id = (row, col) => `r${String(row).padStart(5, "0")}c${String(col).padStart(5, "0")}`;
const properties = (row, col, phase) => ({ tile: id(row, col), phase, reason: "", seconds: 1 });

function feature(row, col) {
  const [x, y] = [WEST + col * STEP, NORTH - row * STEP];
  const ring = [[x, y], [x + STEP, y], [x + STEP, y - STEP], [x, y - STEP], [x, y]];
  return { type: "Feature", id: id(row, col), geometry: { type: "Polygon", coordinates: [ring] }, properties: properties(row, col, "queued") };
}

function job(side) {
  const at = new Date().toISOString();
  return {
    id: JOB, name: "Many tiles", owner: "local", phase: "running", cancelling: false, origin: "api", attempt: 1, season: null, model: null,
    catalog: "", collection: "", bbox: [WEST, NORTH - side * STEP, WEST + side * STEP, NORTH], area_km2: 1, error: "", thumbnail: "",
    tiles: { total: side * side, queued: side * side, running: 0, succeeded: 0, failed: 0 }, queue: null, seconds_left: 60,
    created: at, started: at, finished: null, updated: at, links: {},
  };
}

/** A server of so many tiles a side; `push()` sends the next event to whoever follows the job, `stop()` ends it. */
export function serveLive(port, side) {
  const all = Array.from({ length: side * side }, (_, i) => [Math.floor(i / side), i % side]);
  const followers = new Set();
  let sent = 0;
  const server = createServer((request, response) => {
    const path = new URL(request.url, "http://localhost").pathname;
    if (path === `/api/v1/jobs/${JOB}/events`) {
      response.writeHead(200, { "content-type": "text/event-stream" }).flushHeaders();
      followers.add(response);
    } else if (path === `/api/v1/jobs/${JOB}/tiles`) json(response, { type: "FeatureCollection", features: all.map(([row, col]) => feature(row, col)), event: 0 });
    else if (path === `/api/v1/jobs/${JOB}`) json(response, job(side));
    else answer(request, response);
  });
  const push = () => {
    const tiles = Array.from({ length: PER_EVENT }, (_, i) => {
      const [row, col] = all[(sent * PER_EVENT + i) % all.length];
      return properties(row, col, sent % 2 === 0 ? "succeeded" : "running");
    });
    const counts = { total: all.length, queued: 0, running: 0, succeeded: 0, failed: 0 };
    sent += 1;
    for (const one of followers) one.write(`id: ${sent}\nevent: tiles\ndata: ${JSON.stringify({ tiles, counts })}\n\n`);
  };
  server.listen(port, "127.0.0.1");
  return { push, stop: () => server.close() };
}

function json(response, document) {
  response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(document));
}
