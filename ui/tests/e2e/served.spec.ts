import { expect, test } from "./page";

/** Against `geocrop serve` with a catalog, baselines and a model: `GEOCROP_UI_URL=http://127.0.0.1:8000`. */
test.skip(process.env["GEOCROP_UI_URL"] === undefined, "needs a server: GEOCROP_UI_URL");
test.setTimeout(900_000);

const CORNERS = "31.085, -17.79\n31.10, -17.79\n31.10, -17.805\n31.085, -17.805";
const SHOTS = "test-results/screens";

test("from an area to its map: quote, submit, tiles, result", async ({ page }) => {
  await page.goto("/#at=31.09,-17.80,13&year=2022");
  await expect(page.locator('.tick[data-shown="true"]')).toBeVisible();
  await page.getByRole("button", { name: "Paste coordinates" }).click();
  await page.getByLabel(/GeoJSON, WKT/).fill(CORNERS);
  await page.getByRole("button", { name: "Use it" }).click();
  await page.getByLabel("Name").fill("Dam side");
  await page.getByRole("button", { name: "Continue" }).click();
  await page.getByLabel("First day").fill("2021-10-01");
  await page.getByLabel("Last day").fill("2022-09-30");
  await expect(page.getByRole("region", { name: "Quote" })).toContainText("Tiles", { timeout: 300_000 });
  await page.screenshot({ path: `${SHOTS}/quote-1280-light.png` });
  await page.getByRole("button", { name: "Make the map" }).click();
  await expect(page.getByText(/tiles$|Searching scenes|Next in line/).first()).toBeVisible();
  await page.screenshot({ path: `${SHOTS}/watching-1280-light.png` });
  await page.reload();
  await expect(page.getByText("Published", { exact: true })).toBeVisible({ timeout: 600_000 });
  await expect(page.getByRole("region", { name: "Areas" })).toContainText("maize");
  await page.getByRole("button", { name: "Zoom to map" }).click();
  await page.getByTestId("map").click({ position: { x: 700, y: 400 } });
  await expect(page.getByRole("region", { name: "At this point" })).toContainText("confidence");
  await page.waitForTimeout(1500);
  await page.screenshot({ path: `${SHOTS}/result-1280-light.png` });
  await page.getByRole("button", { name: "Swipe" }).click();
  await page.waitForTimeout(2500);
  await page.screenshot({ path: `${SHOTS}/swipe-1280-light.png` });
});
