import { expect, test, type Page } from "@playwright/test";

const SHOTS = "test-results/screens";
const at = process.env["CLUSTER_AT"] ?? "";
const password = process.env["CLUSTER_PASSWORD"] ?? "";
const RUN_MS = 1_200_000;

/** Half the side of the rectangle that is drawn, in pixels of the screen. */
const HALF = 90;

async function signIn(page: Page): Promise<void> {
  await page.getByRole("main").getByRole("button", { name: "Sign in" }).first().click();
  await page.locator("#user_name").fill("frankchine");
  await page.locator("#password").fill(password);
  await page.getByRole("button", { name: "Sign In" }).click();
  const agree = page.getByRole("button", { name: /Authorize/ });
  const account = page.getByRole("button", { name: "Account" });
  await expect(agree.or(account)).toBeVisible();
  if (await agree.isVisible()) await agree.click();
  await expect(account).toBeVisible();
}

test("the seed's story: baseline at once, an area drawn, a quote, an order, tiles coming in, the map over the baseline", async ({ page }) => {
  await page.goto(`/#at=${at}&year=2022`);
  await expect(page.locator('.tick[data-shown="true"]')).toBeVisible();
  await page.screenshot({ path: `${SHOTS}/cluster-baseline.png` });

  await page.getByRole("button", { name: "Rectangle" }).click();
  await expect(page.getByText("Click one corner")).toBeVisible();
  await page.waitForTimeout(2000);
  const map = await page.getByTestId("map").boundingBox();
  const [x, y] = [(map?.x ?? 0) + (map?.width ?? 0) / 2, (map?.y ?? 0) + (map?.height ?? 0) / 2];
  await page.mouse.click(x - HALF, y - HALF);
  await page.mouse.move(x, y, { steps: 4 });
  await page.mouse.click(x + HALF, y + HALF);
  await expect(page.getByText("Ready to be mapped")).toBeVisible();
  await page.getByLabel("Name").fill("Dam side");
  await page.getByRole("button", { name: "Continue" }).click();

  await expect(page.getByText("Sign in to order maps")).toBeVisible();
  await signIn(page);
  await page.getByRole("combobox", { name: "Season" }).selectOption({ label: "Year 2021/22" });
  await expect(page.getByRole("region", { name: "Quote" })).toContainText("Tiles", { timeout: 300_000 });
  await page.screenshot({ path: `${SHOTS}/cluster-quote.png` });

  await page.getByRole("button", { name: "Make the map" }).click();
  await expect(page).toHaveURL(/job=/);
  const job = /job=([^&]+)/.exec(page.url())?.[1] ?? "";
  process.stdout.write(`job=${job}\n`);
  await expect(page.getByRole("progressbar", { name: "Map" })).toBeVisible();
  await expect(page.getByText("Published", { exact: true })).toBeVisible({ timeout: RUN_MS });
  await expect(page.getByRole("region", { name: "Areas" })).toContainText("maize");
  await page.getByRole("button", { name: "Zoom to map" }).click();
  // Of the map itself: its blocks out of the store, or TiTiler's pictures of them.
  const pixels = page.waitForResponse((answer) => answer.url().includes(job) && /\/\/(s3|tiles\.portfolio)\./.test(answer.url()) && answer.ok());
  await page.reload();
  await pixels;
  await page.waitForTimeout(4000);
  await expect(page.getByText("You are offline")).toBeHidden();
  await page.screenshot({ path: `${SHOTS}/cluster-map.png` });
});
