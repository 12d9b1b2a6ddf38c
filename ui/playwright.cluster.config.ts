import { defineConfig } from "@playwright/test";
import { args, executablePath } from "./tests/chromium";

const address = process.env["CLUSTER_INGRESS"] ?? "127.0.0.1";

/** An installation on a cluster, whose ingress answers for every host; tests/e2e/test_installed.py of the project starts it. */
export default defineConfig({
  testDir: "tests/cluster",
  timeout: 1_500_000,
  expect: { timeout: 60_000 },
  workers: 1,
  retries: 0,
  reporter: [["list"]],
  outputDir: "test-results/traces",
  use: {
    baseURL: process.env["CLUSTER_PAGE"] ?? "",
    ignoreHTTPSErrors: true,
    launchOptions: { executablePath, args: [...args, `--host-resolver-rules=MAP * ${address}`] },
    viewport: { width: 1280, height: 800 },
    trace: "retain-on-failure",
  },
});
