import { defineConfig } from "@playwright/test";
import { args, executablePath } from "./tests/chromium";

const data = process.env["UI_DATA"] ?? "../.task/ui-data";
const python = process.env["UI_PYTHON"] ?? "../.venv/bin/python";
const port = Number(process.env["UI_PORT"] ?? 4170);
const reuseExistingServer = process.env["CI"] === undefined;
const at = (offset: number) => `http://127.0.0.1:${port + offset}`;

/**
 * Three servers: the page alone; `geocrop serve` with TiTiler beside it; and one where users sign in, with its provider.
 * All of them are started here and end with the tests.
 */
export default defineConfig({
  testDir: "tests/e2e",
  globalSetup: "./tests/ready.ts",
  timeout: 90_000,
  expect: { timeout: 30_000 },
  workers: 1,
  retries: 0,
  reporter: [["list"]],
  outputDir: "test-results/traces",
  use: {
    launchOptions: { executablePath, args },
    viewport: { width: 1280, height: 800 },
    colorScheme: "light",
    trace: { mode: "retain-on-failure", screenshots: false },
  },
  projects: [
    { name: "alone", testMatch: "alone.spec.ts", use: { baseURL: at(0) } },
    { name: "served", testMatch: "served*.spec.ts", use: { baseURL: at(1) } },
    { name: "signed-in", testMatch: "sign-in.spec.ts", use: { baseURL: at(3) } },
  ],
  webServer: [
    { command: "node tests/server.mjs", url: at(0), env: { PORT: String(port), UI_DATA: data }, reuseExistingServer },
    { command: `${python} tests/serve.py ${data} ${port + 1}`, url: `${at(1)}/api/v1/health/ready`, timeout: 60_000, reuseExistingServer, gracefulShutdown: { signal: "SIGTERM", timeout: 5_000 } },
    { command: `${python} tests/serve.py ${data} ${port + 3} --sign-in`, url: `${at(3)}/api/v1/health/ready`, timeout: 60_000, reuseExistingServer, gracefulShutdown: { signal: "SIGTERM", timeout: 5_000 } },
  ],
});
