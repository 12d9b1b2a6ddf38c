import type { Locator, Page } from "@playwright/test";
import { execFileSync } from "node:child_process";
import { readFile } from "node:fs/promises";
import { differing, expect, expectAccessible, MIDDLE, paste, pictures, shareOfColour, SHOTS, test, watchErrors } from "./page";

/** Against `geocrop serve` with the catalog, the baselines and the model of a made landscape. */
test.describe.configure({ mode: "serial" });
test.setTimeout(600_000);

const CORNERS = "31.085, -17.785\n31.135, -17.785\n31.135, -17.895\n31.085, -17.895";
const RUN_MS = 400_000;
/** Where the south-east corner of the area is on the screen. */
const HARMED = [800, 560] as const;
/** And a place of it to the north of that. */
const MAPPED = [700, 200] as const;
/** What marks pixels that two maps do not have in common. */
const CHANGED = "b5179e";
let made = "";

async function order(page: Page, name: string, firstDay = ""): Promise<void> {
  await page.goto("/#at=31.09,-17.84,12&year=2022");
  await expect(page.locator('.tick[data-shown="true"]')).toBeVisible();
  await paste(page, CORNERS);
  await page.getByLabel("Name").fill(name);
  await page.getByRole("button", { name: "Continue" }).click();
  await page.getByRole("combobox", { name: "Season" }).selectOption({ label: "Year 2021/22" });
  if (firstDay !== "") await page.getByLabel("First day").fill(firstDay);
  await expect(page.getByRole("region", { name: "Quote" })).toContainText("Tiles", { timeout: 300_000 });
}

async function submit(page: Page): Promise<string> {
  await page.getByRole("button", { name: "Make the map" }).click();
  await expect(page).toHaveURL(/job=/);
  return /job=([^&]+)/.exec(page.url())?.[1] ?? "";
}

const [DATA, PYTHON] = [process.env["UI_DATA"] ?? "../.task/ui-data", process.env["UI_PYTHON"] ?? "../.venv/bin/python"];
const python = (...words: string[]) => execFileSync(PYTHON, words, { stdio: "pipe" });
const drawn = (picture: Locator) => expect.poll(() => picture.evaluate((one: HTMLImageElement) => one.naturalWidth)).toBeGreaterThan(0);
const published = (page: Page) => expect(page.getByText("Published", { exact: true })).toBeVisible({ timeout: RUN_MS });

/** Orders a map while no scene can be read at the south-east corner of its area; waits until it is published. */
async function mapInPart(page: Page, name: string, firstDay: string): Promise<void> {
  await order(page, name, firstDay);
  python("tests/harm.py", DATA, "31.133", "-17.893");
  try {
    await submit(page);
    await expect(page.getByText("Published in part", { exact: true })).toBeVisible({ timeout: RUN_MS });
  } finally {
    python("tests/harm.py", DATA);
  }
}

test("from an area to its map: quote, submit, tiles, result; a reload and a second tab lose nothing", async ({ page, context }) => {
  await order(page, "Dam side");
  await expect(page.getByRole("img", { name: /Cloud-free share/ })).toBeVisible();
  await pictures(page, "quote");
  made = await submit(page);
  await expect(page.getByRole("progressbar", { name: "Map" })).toBeVisible();
  await page.reload();
  await expect(page.getByRole("progressbar", { name: "Map" })).toBeVisible();
  await expect(page.getByText(/^(about .+ left|time left: known after the first tiles)$/)).toBeVisible({ timeout: RUN_MS });
  const second = await context.newPage();
  const errors: string[] = [];
  watchErrors(second, errors);
  await second.goto(`/#job=${made}`);
  await expect(page.getByText(/^[1-9]\d* of \d+ tiles/)).toBeVisible({ timeout: RUN_MS });
  await page.mouse.click(757, 400);
  await expect(page.getByText(/^Tile r\d+c\d+: /)).toBeVisible();
  await pictures(page, "watching");
  await page.getByText(/^Log of tile r\d+c\d+$/).click();
  await expect(page.getByRole("list", { name: "Log" }).getByRole("listitem").first()).not.toHaveText("Nothing logged yet.", { timeout: RUN_MS });
  await published(page);
  await published(second);
  await expect(second.getByRole("region", { name: "Areas" })).toContainText("maize");
  expect(errors).toEqual([]);
});

test("the address of a job alone opens its map, with everything that is known of it", async ({ page }) => {
  await page.goto(`/#job=${made}`);
  await published(page);
  await expect(page.getByRole("heading", { name: "Dam side" })).toBeVisible();
  await expect(page.getByRole("region", { name: "Areas" })).toContainText("maize");
  await expect(page.getByRole("region", { name: "Against the baseline years" })).toContainText("crops");
  await expect(page.getByRole("region", { name: "Drift" })).toBeVisible();
  await expect(page.locator('.tick[data-shown="true"]')).toBeVisible();
  await page.getByRole("button", { name: "Zoom to map" }).click();
  await page.waitForTimeout(1500);
  await page.getByTestId("map").click({ position: { x: 720, y: 420 } });
  await expect(page.getByRole("region", { name: "At this point" })).toContainText("confidence");
  await page.screenshot({ path: `${SHOTS}/result-1280-light.png`, animations: "disabled" });
  await expectAccessible(page);
});

test("layers, opacity, palette and swipe are in the address, and there again after a reload", async ({ page }) => {
  await page.goto(`/#job=${made}`);
  await published(page);
  for (const layer of ["Confidence", "Disagreement"]) {
    await page.getByRole("combobox", { name: "Layer" }).selectOption({ label: layer });
    await page.waitForTimeout(2000);
    await page.screenshot({ path: `${SHOTS}/${layer.toLowerCase()}-1280-light.png`, animations: "disabled" });
  }
  const whole = await page.screenshot({ clip: MIDDLE });
  await page.getByRole("slider", { name: "Opacity" }).fill("0.4");
  await page.waitForTimeout(1000);
  expect(await differing(page, whole, await page.screenshot({ clip: MIDDLE }))).toBeGreaterThan(0.2);
  await page.getByRole("button", { name: "Swipe" }).click();
  await expect(page.getByRole("slider", { name: /Swipe between/ })).toBeVisible();
  await page.waitForTimeout(3000);
  await page.screenshot({ path: `${SHOTS}/swipe-1280-light.png`, animations: "disabled" });
  await expect(page).toHaveURL(/layer=disagreement.*opacity=0.40.*swipe=on/);
  await page.reload();
  await expect(page.getByRole("slider", { name: /Swipe between/ })).toBeVisible();
  await expect(page.getByRole("combobox", { name: "Layer" })).toHaveValue("disagreement");
  await expect(page.getByRole("slider", { name: "Opacity" })).toHaveValue("0.4");
});

test("the map, its provenance and a layer for QGIS can be had", async ({ page }) => {
  await page.goto(`/#job=${made}`);
  await published(page);
  const downloads = page.getByRole("region", { name: "Downloads" });
  const item = await downloads.getByRole("link", { name: /Provenance/ }).getAttribute("href");
  const capsule = (await (await page.request.get(item ?? "")).json()) as { properties: Record<string, unknown> };
  expect(capsule.properties["geocrop:plan"]).toBeDefined();
  const cog = await downloads.getByRole("link", { name: /map\.tif/ }).getAttribute("href");
  expect((await page.request.get(cog ?? "", { headers: { range: "bytes=0-3" } })).status()).toBe(206);
  const [file] = await Promise.all([page.waitForEvent("download"), downloads.getByRole("button", { name: "Open in QGIS" }).click()]);
  expect(file.suggestedFilename()).toBe(`${made}.qlr`);
  expect(await readFile(await file.path(), "utf-8")).toContain("<authid>EPSG:32736</authid>");
});

test("a read-only link shows the map to others, who can change nothing", async ({ page, browser }) => {
  await page.goto(`/#job=${made}`);
  await page.getByRole("button", { name: "Share" }).click();
  const link = await page.getByRole("textbox", { name: /link/i }).inputValue();
  const other = await (await browser.newContext()).newPage();
  await other.goto(link);
  await expect(other.getByText("A read-only link")).toBeVisible();
  await expect(other.getByRole("region", { name: "Areas" })).toContainText("maize");
  await expect(other.getByRole("button", { name: "Share" })).toBeHidden();
  await other.close();
});

test.describe("without a network", () => {
  test.use({ expected: /ERR_INTERNET_DISCONNECTED/ }); // the page looks whether its server is out of reach, too

  test("a lost network loses nothing: a job goes on, and the page takes up where it was; it can be cancelled and retried", async ({ page, context }) => {
    await order(page, "Dam side, earlier", "2021-09-15");
    await expect(page.getByLabel("Last day")).toHaveValue("2022-09-14");
    const job = await submit(page);
    await expect(page.getByRole("progressbar", { name: "Map" })).toBeVisible();
    await context.setOffline(true);
    await expect(page.getByText("You are offline")).toBeVisible();
    await context.setOffline(false);
    await expect(page.getByText("You are offline")).toBeHidden();
    await page.getByRole("button", { name: "Cancel" }).click();
    await expect(page.getByText("Cancelled", { exact: true })).toBeVisible({ timeout: 60_000 });
    await page.getByRole("button", { name: "Try again" }).click();
    await published(page);
    await expect(page.getByRole("region", { name: "Areas" })).toContainText("maize");
    expect(page.url()).toContain(job);
  });
});

test("tiles that are not mapped say why, and come with another try", async ({ page }) => {
  await mapInPart(page, "Dam side, broken scenes", "2021-09-20");
  await page.mouse.move(...HARMED);
  await expect(page.getByText(/^Tile r\d+c\d+: not mapped \(its scenes are broken/)).toBeVisible();
  await page.mouse.move(...MAPPED);
  await expect(page.getByText(/^Tile r/)).toBeHidden();
  await pictures(page, "partial");
  await page.getByRole("button", { name: "Try again" }).click();
  await published(page);
  await expect(page.getByRole("button", { name: "Try again" })).toBeHidden();
  await expect(page.getByRole("region", { name: "Areas" })).toContainText("100% of the area is mapped");
});

test("tiles that failed are on the map with their reason, and are retried", async ({ page }) => {
  await page.route("**/api/v1/quotes", async (route) => {
    const body = route.request().postDataJSON() as { readonly options: object };
    await route.continue({ postData: { ...body, options: { ...body.options, exclude_bad_scenes: false } } });
  });
  await mapInPart(page, "Dam side, none left out", "2021-09-22");
  await page.mouse.move(...HARMED);
  await expect(page.getByText(/^Tile r\d+c\d+: failed \(/)).toContainText("red.tif");
  await page.mouse.move(...MAPPED);
  await expect(page.getByText(/^Tile r/)).toBeHidden();
  await pictures(page, "failed-tiles");
  await page.getByRole("button", { name: "Retry failed tiles" }).click();
  await published(page);
  await expect(page.getByRole("button", { name: "Retry failed tiles" })).toBeHidden();
});

test("two maps are compared: what changed, as a matrix and on the map", async ({ page }) => {
  await page.goto(`/#job=${made}`);
  await published(page);
  await page.getByRole("combobox", { name: "Compare with this" }).selectOption({ index: 1 });
  const compare = page.getByRole("region", { name: "Compare", exact: true });
  await expect(compare).toContainText("% unchanged");
  await compare.getByText("Change matrix").click();
  await expect(compare.getByRole("rowheader").first()).toBeVisible();
  await compare.scrollIntoViewIfNeeded();
  await expect.poll(() => shareOfColour(page, CHANGED)).toBeGreaterThan(0);
  await page.screenshot({ path: `${SHOTS}/compare-1280-light.png`, animations: "disabled" });
  await page.getByRole("combobox", { name: "Compare with this" }).selectOption("");
  await expect.poll(() => shareOfColour(page, CHANGED)).toBe(0);
});

test("once a map is assessed, its legend has areas with their intervals", async ({ page }) => {
  python("tests/assess.py", DATA, new URL(test.info().project.use.baseURL ?? "").port, made);
  await page.goto(`/#job=${made}`);
  await published(page);
  const areas = page.getByRole("region", { name: "Areas" });
  await expect(areas).toContainText("Estimated (95 % interval)");
  await expect(areas.getByRole("cell", { name: /^[\d,]+ \([\d,]+–[\d,]+\)$/ }).first()).toBeVisible();
  await page.screenshot({ path: `${SHOTS}/assessed-1280-light.png`, animations: "disabled" });
});

test("the history shows maps as pictures", async ({ page }) => {
  await page.goto("/#panel=maps");
  const row = page.getByRole("button", { name: "Open Dam side", exact: true });
  await drawn(row.locator("img.thumbnail"));
  await page.screenshot({ path: `${SHOTS}/history-1280-light.png`, animations: "disabled" });
  await row.click();
  await published(page);
});

test("models that could not be had are there by themselves once the server answers", async ({ page }) => {
  await page.route("**/api/v1/models", (route) => route.abort());
  await page.goto("/#at=31.09,-17.84,12");
  await paste(page, CORNERS);
  await page.getByRole("button", { name: "Continue" }).click();
  await expect(page.getByRole("alert")).toContainText("The server does not answer");
  await page.unroute("**/api/v1/models");
  await expect(page.getByRole("combobox", { name: "Model" })).toBeVisible();
  await expect(page.getByText("The server does not answer")).toBeHidden();
});

test("an area is saved on the server, taken again, and removed", async ({ page }) => {
  await page.goto("/#at=31.09,-17.84,12&year=2022");
  await paste(page, CORNERS);
  await page.getByLabel("Name").fill("East bank");
  await page.getByRole("button", { name: "Save" }).click();
  await expect(page.getByRole("button", { name: "Saved" })).toBeDisabled();
  await page.getByRole("button", { name: "Clear" }).click();
  await page.getByRole("region", { name: "Saved areas" }).getByRole("button", { name: /^East bank/ }).click();
  await expect(page.getByLabel("Name")).toHaveValue("East bank");
  await page.getByRole("button", { name: "Remove East bank" }).click();
  await expect(page.getByRole("region", { name: "Saved areas" })).toBeHidden();
});

test("a KML file is read by the server", async ({ page }) => {
  await page.goto("/#at=31.09,-17.84,12");
  const ring = "31.09,-17.80 31.12,-17.80 31.12,-17.84 31.09,-17.80";
  const kml = `<kml xmlns="http://www.opengis.net/kml/2.2"><Placemark><Polygon><outerBoundaryIs><LinearRing><coordinates>${ring}</coordinates></LinearRing></outerBoundaryIs></Polygon></Placemark></kml>`;
  await page.locator("input[type=file]").setInputFiles({ name: "south.kml", mimeType: "application/vnd.google-earth.kml+xml", buffer: Buffer.from(kml) });
  await expect(page.getByText("Ready to be mapped")).toBeVisible();
});

for (const name of ["north.gpkg", "north.zip"]) {
  test(`an area in ${name} is read by the server, from whatever plane it is in`, async ({ page }) => {
    await page.goto("/#at=31.09,-17.84,12");
    await page.locator("input[type=file]").setInputFiles(`${DATA}/files/${name}`);
    await expect(page.getByText("Ready to be mapped")).toBeVisible();
    await expect(page.getByText(/^70\d ha$/)).toBeVisible();
  });
}

for (const [width, height] of [[390, 844], [1280, 800], [1920, 1080]] as const) {
  for (const scheme of ["light", "dark"] as const) {
    test(`a result looks right and has no violations at ${width} px, ${scheme}`, async ({ page }) => {
      await page.setViewportSize({ width, height });
      await page.emulateMedia({ colorScheme: scheme });
      await page.goto(`/#job=${made}&year=2022${scheme === "dark" ? "&palette=safe" : ""}`);
      await published(page);
      await expect(page.getByRole("region", { name: "Against the baseline years" })).toContainText("crops");
      await expect(page.locator('.tick[data-shown="true"]')).toBeVisible();
      await page.waitForTimeout(1500);
      await page.screenshot({ path: `${SHOTS}/result-${width}-${scheme}.png`, animations: "disabled" });
      await page.getByRole("region", { name: "Against the baseline years" }).scrollIntoViewIfNeeded();
      await page.screenshot({ path: `${SHOTS}/result-more-${width}-${scheme}.png`, animations: "disabled" });
      await expectAccessible(page);
      await page.getByRole("button", { name: "All maps" }).click();
      await drawn(page.locator("img.thumbnail").first());
      await page.screenshot({ path: `${SHOTS}/history-${width}-${scheme}.png`, animations: "disabled" });
    });
  }
}
