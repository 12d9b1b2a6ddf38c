import type { Page, Route } from "@playwright/test";
import { differing, expect, expectAccessible, MIDDLE, middleColours, paste, shareOfColour, SHOTS, test } from "./page";
import { firstPixel } from "../../bench/paint.mjs";

const CORNERS = "31.02, -17.80\n31.10, -17.81\n31.11, -17.87\n31.04, -17.88";

async function open(page: Page, hash = ""): Promise<void> {
  await page.route("**/api/**", (route) => route.abort());
  await page.goto(`/${hash}`);
  await expect(page.locator('.tick[data-shown="true"]')).toBeVisible();
}

for (const hash of ["#at=31.07,-17.84,12&year=2020", "#at=31.0712,-17.8434,12.4&year=2018&palette=safe", ""]) {
  test(`before the map's code is there, the baseline lies where the map shows it: ${hash || "no address"}`, async ({ page }) => {
    const held: Route[] = [];
    await page.route(/\/maplibre-gl-[\w-]+\.js$/, (route) => void held.push(route));
    await page.route("**/api/**", (route) => route.abort());
    await page.goto(`/${hash}`, { waitUntil: "commit" });
    await expect(page.locator(":root[data-first]")).toBeAttached();
    const before = await page.screenshot({ clip: MIDDLE });
    await Promise.all(held.map((route) => route.continue()));
    await expect(page.locator('.tick[data-shown="true"]')).toBeVisible();
    await expect(page.locator("#first-picture")).toBeHidden();
    const after = await page.screenshot({ clip: MIDDLE });
    const colours = await middleColours(page);
    expect(colours).toBeGreaterThan(4);
    expect(colours, "no colours between those of the nine classes and the ground").toBeLessThanOrEqual(10);
    expect(await differing(page, before, after)).toBeLessThan(0.02);
  });
}

test("baselines are drawn, counted and read with the API blocked", async ({ page }) => {
  await open(page, "#at=31.07,-17.84,12&year=2020");
  expect(await middleColours(page)).toBeGreaterThan(4);
  await expect(page.getByLabel("Land cover")).toContainText("ha");
  await page.getByTestId("map").click({ position: { x: 640, y: 400 } });
  await expect(page.getByLabel("Land cover")).toContainText(/Here: (water|trees|grass|crops|shrub and scrub|built|bare)/);
});

test("a machine without a network that has the server itself is not called offline", async ({ page }) => {
  await page.addInitScript(() => Object.defineProperty(navigator, "onLine", { get: () => false }));
  const asked = page.waitForResponse((response) => response.request().method() === "HEAD");
  await open(page, "#at=31.07,-17.84,12&year=2020");
  expect((await asked).ok()).toBe(true);
  await expect(page.getByText("You are offline")).toBeHidden();
});

test.describe("while the rasters are away", () => {
  test.use({ expected: /Failed to load resource.*\/baselines\// });

  test("a year that cannot be had says so, is asked for again, and appears by itself", async ({ page }) => {
    await page.route("**/baselines/**", (route) => route.abort());
    await page.route("**/api/**", (route) => route.abort());
    await page.goto("/#at=31.07,-17.84,12&year=2020");
    await expect(page.getByText("it is asked for again")).toBeVisible();
    await page.screenshot({ path: `${SHOTS}/baseline-away-1280-light.png`, animations: "disabled" });
    await page.unroute("**/baselines/**");
    await expect(page.locator('.tick[data-shown="true"]')).toContainText("2020");
    await expect(page.getByText("it is asked for again")).toBeHidden();
  });
});

test("a year is switched by keys, and 2015 says that it is not whole", async ({ page }) => {
  await open(page, "#at=31.07,-17.84,12&year=2016");
  const slider = page.getByRole("slider", { name: "Year of the baseline" });
  await slider.press("ArrowLeft");
  await expect(page.locator('.tick[data-shown="true"]')).toContainText("2015");
  await expect(slider).toHaveAttribute("aria-valuetext", /2015, from 27 Jun/);
  await expect(page.getByLabel("Land cover")).toContainText("not a whole year");
});

test("years play, one after the other", async ({ page }) => {
  await open(page, "#at=31.07,-17.84,12&year=2019");
  await page.getByRole("button", { name: "Play the years" }).click();
  await expect(page.locator('.tick[data-shown="true"]')).toContainText("2021");
  await page.getByRole("button", { name: "Pause" }).click();
});

const size = (page: Page) => page.locator(".fact", { hasText: "Area" }).locator("dd");

test("a pasted area is measured, kept in the address, and there again after a reload", async ({ page }) => {
  await open(page, "#at=31.07,-17.84,12");
  await paste(page, CORNERS);
  await expect(page.getByText("Ready to be mapped")).toBeVisible();
  await expect(page.getByText("6,159 ha")).toBeVisible();
  await expect(page).toHaveURL(/aoi=/);
  await page.reload();
  await expect(page.getByText("6,159 ha")).toBeVisible();
});

test("an area of many corners is in the address by a short name, and there again after a reload and in another tab", async ({ page, context }) => {
  await open(page, "#at=31.07,-17.84,12");
  const corners = Array.from({ length: 2_000 }, (_, i) => {
    const [angle, radius] = [(i / 1_000) * Math.PI, 0.03 + 0.0005 * (i % 2)];
    return [31.07 + radius * Math.cos(angle), -17.84 + radius * Math.sin(angle)];
  });
  await paste(page, JSON.stringify({ type: "Polygon", coordinates: [[...corners, corners[0]]] }));
  await expect(page.getByText("Ready to be mapped")).toBeVisible();
  await expect(page).toHaveURL(/aoi=\*[\da-z]+-[\da-z]+$/);
  const measured = await size(page).innerText();
  await page.reload();
  await expect(size(page)).toHaveText(measured);
  const second = await context.newPage();
  await second.goto(page.url());
  await expect(size(second)).toHaveText(measured);
});

test("an area that crosses itself is refused in words", async ({ page }) => {
  await open(page);
  await paste(page, "31.02, -17.80\n31.10, -17.88\n31.10, -17.80\n31.02, -17.88");
  await expect(page.getByRole("alert")).toContainText("crosses itself near 31.06");
  await expect(page.getByRole("button", { name: "Continue" })).toBeDisabled();
});

test("a rectangle is drawn with two clicks, undone and drawn again", async ({ page }) => {
  await open(page, "#at=31.07,-17.84,12");
  await page.getByRole("button", { name: "Rectangle" }).click();
  await expect(page.getByText("Click one corner")).toBeVisible();
  await page.waitForFunction(() => document.querySelector(".maplibregl-canvas")?.closest("div") !== null);
  await page.waitForTimeout(800);
  await page.mouse.click(600, 250);
  await page.mouse.move(700, 330, { steps: 4 });
  await page.mouse.click(850, 480);
  await expect(page.getByText("Ready to be mapped")).toBeVisible();
  await page.getByRole("button", { name: "Undo" }).click();
  await expect(page.getByText("Ready to be mapped")).toBeHidden();
});

/** The map takes clicks once its drawing code is there: it shows a crosshair then. */
async function choose(page: Page, tool: string): Promise<void> {
  await page.getByRole("button", { name: tool, exact: true }).click();
  await expect(page.locator(".maplibregl-canvas")).toHaveCSS("cursor", "crosshair");
}

test("a circle is measured while it grows", async ({ page }) => {
  await open(page, "#at=31.07,-17.84,12");
  await choose(page, "Circle");
  await page.mouse.click(760, 380);
  await page.mouse.move(800, 380, { steps: 4 });
  const small = await size(page).innerText();
  await page.mouse.move(860, 380, { steps: 4 });
  await expect(size(page)).not.toHaveText(small);
  await page.mouse.click(860, 380);
  await expect(page.getByText("Ready to be mapped")).toBeVisible();
});

test("a polygon is drawn corner by corner, ended by Enter, and a corner of it dragged", async ({ page }) => {
  await open(page, "#at=31.07,-17.84,12");
  await choose(page, "Polygon");
  for (const [x, y] of [[600, 250], [850, 260], [840, 480]] as const) await page.mouse.click(x, y, { delay: 60 });
  await page.mouse.move(700, 470, { steps: 4 });
  await expect(page.getByRole("main")).toContainText("Vertices");
  await page.mouse.click(640, 470, { delay: 60 });
  await page.locator(".maplibregl-canvas").press("Enter");
  await expect(page.getByText("Ready to be mapped")).toBeVisible();
  const before = await size(page).innerText();
  await page.getByRole("button", { name: "Edit shape" }).click();
  await page.waitForTimeout(600);
  await page.mouse.move(850, 260);
  await page.mouse.down();
  await page.mouse.move(900, 220, { steps: 6 });
  await page.mouse.up();
  await page.getByRole("button", { name: "Done" }).click();
  await expect(size(page)).not.toHaveText(before);
  await page.getByRole("button", { name: "Undo" }).click();
  await expect(size(page)).toHaveText(before);
});

test("a file that is dropped anywhere becomes the area", async ({ page }) => {
  await open(page);
  const geometry = { type: "Polygon", coordinates: [[[31.02, -17.8], [31.1, -17.8], [31.1, -17.88], [31.02, -17.8]]] };
  const file = await page.evaluateHandle((text) => {
    const held = new DataTransfer();
    held.items.add(new File([text], "north farm.geojson"));
    return held;
  }, JSON.stringify(geometry));
  await page.dispatchEvent("body", "dragover", { dataTransfer: file });
  await expect(page.getByText("Drop it: this becomes the area")).toBeVisible();
  await page.dispatchEvent("body", "drop", { dataTransfer: file });
  await expect(page.getByText("Ready to be mapped")).toBeVisible();
  await expect(page.getByLabel("Name")).toHaveValue("north farm");
});

test("without a pointer: to the map by Tab, about by arrows, a class by Enter, the view as the area", async ({ page }) => {
  await open(page, "#at=31.07,-17.84,12&year=2020");
  await page.keyboard.press("Tab");
  await expect(page.getByRole("link", { name: "Skip to the map" })).toBeFocused();
  await page.keyboard.press("Enter");
  await expect(page.locator(".maplibregl-canvas")).toBeFocused();
  await page.keyboard.press("ArrowRight");
  await page.keyboard.press("Enter");
  await expect(page.getByLabel("Land cover")).toContainText(/Here: (water|trees|grass|crops|shrub and scrub|built|bare)/);
  await page.getByRole("button", { name: "This view" }).press("Enter");
  await expect(page.getByText("Ready to be mapped")).toBeVisible();
});

test("how it looks is chosen: dark, in safe colours, and so after a reload", async ({ page }) => {
  await open(page, "#at=31.07,-17.84,12&year=2020");
  await page.getByRole("button", { name: "Appearance and colours" }).click();
  await page.getByRole("button", { name: "Dark" }).click();
  await page.getByRole("button", { name: "Colour-blind safe" }).click();
  await expect.poll(() => shareOfColour(page, "e69f00")).toBeGreaterThan(0.1);
  await page.screenshot({ path: `${SHOTS}/look-1280-dark.png`, animations: "disabled" });
  await page.keyboard.press("Escape");
  await expect(page).toHaveURL(/palette=safe/);
  await page.reload();
  await expect(page.locator("html")).toHaveAttribute("data-theme", "dark");
  await expect.poll(() => shareOfColour(page, "e69f00")).toBeGreaterThan(0.1);
});

test("years play without a flash: whatever year is drawn, one is on the screen", async ({ page, browser }) => {
  await open(page, "#at=31.07,-17.84,12&year=2019");
  const { frames } = await firstPixel(browser, page, async () => {
    await page.getByRole("button", { name: "Play the years" }).click();
    await expect(page.locator('.tick[data-shown="true"]')).toContainText("2021");
  }, false);
  expect(frames.length).toBeGreaterThan(1);
  expect(Math.min(...frames.map(({ share }) => share))).toBeGreaterThan(0.5);
});

for (const [width, height] of [[390, 844], [1280, 800], [1920, 1080]] as const) {
  for (const scheme of ["light", "dark"] as const) {
    test(`looks right and has no violations at ${width} px, ${scheme}`, async ({ page }) => {
      await page.setViewportSize({ width, height });
      await page.emulateMedia({ colorScheme: scheme });
      await open(page, `#at=31.07,-17.84,${width < 500 ? 11 : 12}&year=2020&palette=${scheme === "dark" ? "safe" : "official"}`);
      await paste(page, CORNERS);
      await expect(page.getByText("Ready to be mapped")).toBeVisible();
      await page.waitForTimeout(900);
      await page.screenshot({ path: `${SHOTS}/area-${width}-${scheme}.png`, animations: "disabled" });
      await expectAccessible(page);
      await page.getByRole("button", { name: "New map" }).click();
      await expect(page.getByText("The server does not answer")).toBeVisible();
      await page.screenshot({ path: `${SHOTS}/no-api-${width}-${scheme}.png`, animations: "disabled" });
    });
  }
}
