import { expect, test } from "@playwright/test";

const at = process.env["CLUSTER_AT"] ?? "";

test("while no pod of the API is there, baselines are drawn, and years change", async ({ page }) => {
  await page.goto(`/#at=${at}&year=2022`);
  await expect(page.locator('.tick[data-shown="true"]')).toHaveText(/2022/);
  await page.getByRole("slider", { name: "Year of the baseline" }).press("ArrowLeft");
  await expect(page.locator('.tick[data-shown="true"]')).toHaveText(/2021/);
  expect(await page.evaluate(async () => (await fetch("./api/v1/health/ready")).status)).toBeGreaterThanOrEqual(500);
  await page.screenshot({ path: "test-results/screens/cluster-away.png" });
});
