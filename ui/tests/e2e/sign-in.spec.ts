import { expect, expectAccessible, middleColours, paste, SHOTS, test } from "./page";

/** Against a server whose users sign in with an identity provider. */
test.setTimeout(300_000);

const CORNERS = "31.085, -17.785\n31.135, -17.785\n31.135, -17.895\n31.085, -17.895";
const KEPT = "6,453 ha";

test("baselines and drawing need no account; signing in, losing the session and signing out keep the area", async ({ page, context }) => {
  await page.goto("/#at=31.09,-17.84,12&year=2022");
  await expect(page.locator('.tick[data-shown="true"]')).toBeVisible();
  await paste(page, CORNERS);
  await expect(page.getByText(KEPT)).toBeVisible();
  await page.getByRole("button", { name: "Continue" }).click();
  await expect(page.getByText("Sign in to order maps")).toBeVisible();
  await expect(page.getByText("You are signed out")).toBeHidden();
  await expectAccessible(page);
  await page.screenshot({ path: `${SHOTS}/signed-out-1280-light.png`, animations: "disabled" });

  await page.getByRole("main").getByRole("button", { name: "Sign in" }).first().click();
  await expect(page.getByRole("button", { name: "Account" })).toBeVisible();
  await expect(page).toHaveURL(/aoi=/);
  await page.getByRole("combobox", { name: "Season" }).selectOption({ label: "Year 2021/22" });
  await expect(page.getByRole("region", { name: "Quote" })).toContainText("Tiles", { timeout: 200_000 });

  await context.clearCookies();
  await page.getByRole("button", { name: "Make the map" }).click();
  await expect(page.getByText("You are signed out")).toBeVisible();
  await page.screenshot({ path: `${SHOTS}/session-over-1280-light.png`, animations: "disabled" });
  await page.getByText("You are signed out").locator("..").getByRole("button", { name: "Sign in" }).click();
  await expect(page.getByRole("button", { name: "Account" })).toBeVisible();
  await page.getByRole("button", { name: "Area", exact: true }).click();
  await expect(page.getByText(KEPT)).toBeVisible();

  await page.getByRole("button", { name: "Account" }).click();
  await page.getByRole("button", { name: "Sign out" }).click();
  await expect(page.getByRole("main").getByRole("button", { name: "Sign in" })).toBeVisible();
  await expect(page.getByText(KEPT)).toBeVisible();
});

test("an operator's own basemap lies under everything, says whose it is, and can be left", async ({ page }) => {
  await page.goto("/#at=31.07,-17.84,14&year=2022");
  await expect(page.locator('.tick[data-shown="true"]')).toBeVisible();
  await expect(page.getByRole("contentinfo").last()).toContainText("Any Maps Ltd");
  await page.getByRole("button", { name: "Hide baseline" }).click();
  await expect.poll(() => middleColours(page)).toBeGreaterThan(20);
  await page.screenshot({ path: `${SHOTS}/basemap-1280-light.png`, animations: "disabled" });
  await page.getByRole("button", { name: "Appearance and colours" }).click();
  await page.getByRole("button", { name: "Outlines" }).click();
  await page.keyboard.press("Escape");
  await expect.poll(() => middleColours(page), "the lines of a grid and what lies between them").toBeLessThan(10);
  await expect(page.getByRole("contentinfo").last()).not.toContainText("Any Maps Ltd");
});
