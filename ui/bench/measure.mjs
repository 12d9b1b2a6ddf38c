// The figures of docs/performance.md that are the page's: `./task ui-bench`. Medians of several rounds, on loopback.
import { spawn } from "node:child_process";
import { chromium } from "@playwright/test";
import { JOB, serveLive } from "./live.mjs";
import { overlay } from "./overlay.mjs";
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
async function firstPaint(browser, tab, load) {
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

async function baselines(browser) {
  const found = { cold: [], warm: [], live: [], change: [] };
  for (let round = 0; round < ROUNDS; round++) {
    const context = await browser.newContext({ viewport: { width: 1280, height: 800 } });
    const tab = await context.newPage();
    await tab.addInitScript(NOTE);
    const cold = await firstPaint(browser, tab, () => tab.goto(`${page}/${VIEW}`));
    found.cold.push(cold.at);
    found.live.push(cold.live);
    found.change.push(await switchYear(tab));
    found.warm.push((await firstPaint(browser, tab, () => tab.reload())).at);
    await context.close();
  }
  say("first paint of the baseline, nothing cached", found.cold);
  say("first paint of the baseline, cached", found.warm);
  say("  the map in its place, nothing cached", found.live);
  say("another year, prefetched", found.change);
}

async function live(browser) {
  const { task, script } = await liveTiles(browser);
  say("main thread for 500 of 10,000 live tiles", [task]);
  say("  of which scripts", [script]);
}

async function overlays(browser) {
  const found = [];
  for (let round = 0; round < Math.min(ROUNDS, 3); round++) found.push(await overlay(browser, page, `${process.env.UI_DATA}/at-${PORT}/store`, round));
  say("from publishing to the map over the baseline", found);
}

function say(name, values) {
  const ms = (value) => value.toFixed(value < 20 ? 1 : 0);
  const all = values.length > 1 ? ` (${values.map(ms).join(", ")})` : "";
  console.log(`${name.padEnd(58)} ${ms(median(values))} ms${all}`);
}

/** The parts, by the names that the command takes; without a name, all of them. */
const PARTS = { baselines, live, overlay: overlays };
const asked = process.argv.slice(2);
const unknown = asked.find((name) => !(name in PARTS));
if (unknown !== undefined) throw new Error(`no part ${unknown}: ${Object.keys(PARTS).join(", ")}`);

const server = await startServer();
const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args });
for (const [name, measure] of Object.entries(PARTS)) if (asked.length === 0 || asked.includes(name)) await measure(browser);
await browser.close();
server.kill("SIGTERM");
process.exit(0);
