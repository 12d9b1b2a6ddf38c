// The figures of docs/performance.md that are the page's: `./task ui-bench`. Medians of several rounds, on loopback.
import { spawn } from "node:child_process";
import { statSync } from "node:fs";
import { chromium } from "@playwright/test";
import { JOB, serveLive } from "./live.mjs";
import { firstPixel } from "./paint.mjs";

const PORT = Number(process.env.UI_PORT ?? 4180);
const ROUNDS = Number(process.env.ROUNDS ?? 5);
const SIDE = 100;
const UPDATES = 40;
const page = `http://127.0.0.1:${PORT}`;
const VIEW = "#at=31.07,-17.84,12&year=2020";
const args = ["--no-sandbox", "--use-angle=swiftshader", "--enable-unsafe-swiftshader", "--ignore-gpu-blocklist"];

const median = (values) => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)];
const pause = (ms) => new Promise((done) => setTimeout(done, ms));

/** Notes when a year is first shown, and each time that another is. */
const NOTE = () => {
  window.shownAt = [];
  let last = "";
  new MutationObserver(() => {
    const year = document.querySelector('.tick[data-shown="true"] .tick-long')?.textContent ?? last;
    if (year !== last) requestAnimationFrame(() => window.shownAt.push(performance.now()));
    last = year;
  }).observe(document, { subtree: true, childList: true, attributes: true, attributeFilter: ["data-shown"] });
};

/** Milliseconds until the baseline is seen, and until the map, which can be moved, has taken its place. */
async function firstPaint(tab, load) {
  let live = Number.NaN;
  const { at } = await firstPixel(browser, tab, async () => {
    await load();
    await tab.waitForFunction(() => window.shownAt.length > 0);
    live = await tab.evaluate(() => window.shownAt[0]);
  });
  return { at, live };
}

async function switchYear(tab) {
  await tab.waitForFunction(() => [...document.querySelectorAll('.tick[data-warm="true"] .tick-long')].some((one) => one.textContent === "2021"));
  await pause(1500);
  return tab.evaluate(async () => {
    const before = window.shownAt.length;
    const slider = document.querySelector(".dock-years input");
    const start = performance.now();
    Object.getOwnPropertyDescriptor(HTMLInputElement.prototype, "value").set.call(slider, String(Number(slider.value) + 1));
    slider.dispatchEvent(new Event("input", { bubbles: true }));
    while (window.shownAt.length === before) await new Promise((done) => requestAnimationFrame(done));
    return window.shownAt.at(-1) - start;
  });
}

const ORDER = {
  name: "Overlay", season: { start: "2021-10-01", end: "2022-09-30" }, catalog: "demo", collection: "", aoi_id: "",
  aoi: { type: "Polygon", coordinates: [[[31.09, -17.84], [31.1, -17.84], [31.1, -17.83], [31.09, -17.83], [31.09, -17.84]]] },
};

/** Milliseconds from the last file of a map's publishing to its first frame over the baseline, in a page that watches. */
async function overlay(browser) {
  const post = async (path, body) => {
    const headers = { "content-type": "application/json", "idempotency-key": `bench-${Date.now()}` };
    const answer = await fetch(`${page}/api/v1/${path}`, { method: "POST", headers, body: JSON.stringify(body) });
    if (!answer.ok) throw new Error(await answer.text());
    return answer.json();
  };
  const [{ name, version }] = await (await fetch(`${page}/api/v1/models`)).json();
  const { id: quote } = await post("quotes", { ...ORDER, model: `${name}/${version}` });
  const { id } = await post("jobs", { quote });
  const tab = await browser.newPage({ viewport: { width: 1280, height: 800 } });
  await tab.goto(`${page}/#job=${id}`);
  const seen = await tab.waitForFunction(() => {
    const map = window.geocropMap;
    const there = map?.getLayersOrder().some((layer) => layer.startsWith("result-") && map.getPaintProperty(layer, "raster-opacity") === 1);
    return there ? performance.timeOrigin + performance.now() : false;
  }, null, { timeout: 900_000, polling: "raf" });
  const published = statSync(`${process.env.UI_DATA}/at-${PORT}/store/maps/${id}/item.json`).mtimeMs;
  const at = await seen.jsonValue();
  await tab.close();
  return at - published;
}

/** Milliseconds of the main thread for one event of 500 tiles out of 10,000, what it does anyway taken off. */
async function liveTiles(browser) {
  const live = serveLive(PORT + 2, SIDE);
  const tab = await browser.newPage();
  await tab.goto(`http://127.0.0.1:${PORT + 2}/#job=${JOB}`);
  await tab.getByRole("progressbar").waitFor();
  await pause(6000);
  live.push(); // the shader of the first change is not of every change
  await pause(1500);
  const session = await tab.context().newCDPSession(tab);
  await session.send("Performance.setTimeDomain", { timeDomain: "threadTicks" }).catch(() => undefined); // its own time, whatever else runs
  await session.send("Performance.enable");
  const busy = async () => {
    const { metrics } = await session.send("Performance.getMetrics");
    const of = (name) => metrics.find((one) => one.name === name).value * 1000;
    return { task: of("TaskDuration"), script: of("ScriptDuration") };
  };
  const span = async (act) => {
    const before = await busy();
    for (let i = 0; i < UPDATES; i++) {
      act();
      await pause(150);
    }
    const after = await busy();
    return { task: after.task - before.task, script: after.script - before.script };
  };
  const idle = await span(() => undefined);
  const working = await span(live.push);
  live.stop();
  await tab.close();
  return { task: (working.task - idle.task) / UPDATES, script: (working.script - idle.script) / UPDATES };
}

/** `geocrop serve`, as users have it. */
async function startServer() {
  const child = spawn(process.env.UI_PYTHON ?? "../.venv/bin/python", ["tests/serve.py", process.env.UI_DATA, String(PORT)], { stdio: "ignore" });
  for (;;) {
    const answered = await fetch(`${page}/baselines.json`).then((answer) => answer.ok, () => false);
    if (answered) return child;
    await pause(300);
  }
}

const server = await startServer();
const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args });
const found = { cold: [], warm: [], live: [], change: [] };
for (let round = 0; round < ROUNDS; round++) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 } });
  const tab = await context.newPage();
  await tab.addInitScript(NOTE);
  const cold = await firstPaint(tab, () => tab.goto(`${page}/${VIEW}`));
  found.cold.push(cold.at);
  found.live.push(cold.live);
  found.change.push(await switchYear(tab));
  found.warm.push((await firstPaint(tab, () => tab.reload())).at);
  await context.close();
}
const say = (name, value) => console.log(`${name.padEnd(58)} ${value.toFixed(value < 20 ? 1 : 0)} ms`);
say("first paint of the baseline, nothing cached", median(found.cold));
say("first paint of the baseline, cached", median(found.warm));
say("  the map in its place, nothing cached", median(found.live));
say("another year, prefetched", median(found.change));
const { task, script } = await liveTiles(browser);
say("main thread for 500 of 10,000 live tiles", task);
say("  of which scripts", script);
say("from publishing to the map over the baseline", await overlay(browser));
await browser.close();
server.kill("SIGTERM");
process.exit(0);
