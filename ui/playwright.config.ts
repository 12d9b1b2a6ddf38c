import { defineConfig } from "@playwright/test";

const chromium = process.env["CHROMIUM"] ?? "/usr/bin/chromium";
const args = ["--no-sandbox", "--use-angle=swiftshader", "--enable-unsafe-swiftshader", "--ignore-gpu-blocklist"];

/** Against the page without an API (tests/server.mjs), or against a server that runs (GEOCROP_UI_URL). */
export default defineConfig({
  testDir: "tests/e2e",
  timeout: 90_000,
  expect: { timeout: 30_000 },
  workers: 1,
  retries: 0,
  reporter: [["list"]],
  outputDir: "test-results",
  use: {
    baseURL: process.env["GEOCROP_UI_URL"] ?? "http://127.0.0.1:4173",
    launchOptions: { executablePath: chromium, args },
    viewport: { width: 1280, height: 800 },
    colorScheme: "light",
  },
  ...(process.env["GEOCROP_UI_URL"] === undefined && {
    webServer: { command: "node tests/server.mjs", url: "http://127.0.0.1:4173/", reuseExistingServer: true },
  }),
});
