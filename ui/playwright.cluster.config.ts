import { defineConfig } from "@playwright/test";

const address = process.env["CLUSTER_INGRESS"] ?? "127.0.0.1";
const args = [
  "--no-sandbox", "--use-angle=swiftshader", "--enable-unsafe-swiftshader", "--ignore-gpu-blocklist",
  `--host-resolver-rules=MAP * ${address}`,
];

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
    launchOptions: { executablePath: process.env["CHROMIUM"] ?? "/usr/bin/chromium", args },
    viewport: { width: 1280, height: 800 },
    trace: "retain-on-failure",
  },
});
