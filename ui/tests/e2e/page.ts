import AxeBuilder from "@axe-core/playwright";
import { test as base, expect, type Page } from "@playwright/test";

export const SHOTS = "test-results/screens";
const RULES = ["wcag2a", "wcag2aa", "wcag21aa", "wcag22aa", "best-practice"];

/** A test fails when the page logs an error; a refused API address is logged by the browser itself and is no error. */
export const test = base.extend<{ readonly expected: RegExp }>({
  /** What a story has the browser complain of. */
  expected: [/^$/, { option: true }],
  page: async ({ page, expected }, give) => {
    const errors: string[] = [];
    watchErrors(page, errors);
    await give(page);
    expect(errors.filter((one) => !expected.test(one))).toEqual([]);
  },
});

export function watchErrors(page: Page, errors: string[]): void {
  page.on("pageerror", (error) => errors.push(error.message));
  page.on("console", (message) => {
    const { url } = message.location();
    if (message.type() === "error" && !/\/api\/|baselines\.json/.test(url)) errors.push(`${message.text()} (${url})`);
  });
}

/** Pictures of what the page shows now, at every width, light and dark. */
export async function pictures(page: Page, name: string): Promise<void> {
  for (const [width, height] of [[390, 844], [1920, 1080], [1280, 800]] as const) {
    await page.setViewportSize({ width, height });
    for (const colorScheme of ["dark", "light"] as const) {
      await page.emulateMedia({ colorScheme });
      await expect(page.locator("html")).toHaveAttribute("data-theme", colorScheme);
      await page.waitForTimeout(300);
      await page.screenshot({ path: `${SHOTS}/${name}-${width}-${colorScheme}.png`, animations: "disabled" });
    }
  }
}

export const MIDDLE = { x: 500, y: 200, width: 400, height: 300 };

/** How many different colours the map has in its middle. */
export async function middleColours(page: Page): Promise<number> {
  return new Set(await wordsOf(page, await page.screenshot({ clip: MIDDLE }))).size;
}

/** Share of the map's middle that has a colour of six hex digits. */
export async function shareOfColour(page: Page, colour: string): Promise<number> {
  const words = await wordsOf(page, await page.screenshot({ clip: MIDDLE }));
  const [red = 0, green = 0, blue = 0] = [0, 2, 4].map((at) => Number.parseInt(colour.slice(at, at + 2), 16));
  const word = ((255 << 24) | (blue << 16) | (green << 8) | red) >>> 0;
  return words.filter((one) => one === word).length / words.length;
}

/** Share of pixels that differ between two pictures of the same size. */
export async function differing(page: Page, one: Buffer, other: Buffer): Promise<number> {
  const [first, second] = [await wordsOf(page, one), await wordsOf(page, other)];
  return first.filter((word, i) => word !== second[i]).length / first.length;
}

async function wordsOf(page: Page, picture: Buffer): Promise<number[]> {
  return page.evaluate(async (bytes) => {
    const bitmap = await createImageBitmap(new Blob([Uint8Array.from(atob(bytes), (letter) => letter.charCodeAt(0))]));
    const context = new OffscreenCanvas(bitmap.width, bitmap.height).getContext("2d");
    context?.drawImage(bitmap, 0, 0);
    return [...new Uint32Array(context?.getImageData(0, 0, bitmap.width, bitmap.height).data.buffer ?? new ArrayBuffer(0))];
  }, picture.toString("base64"));
}

/** Gives the page an area as pasted text. */
export async function paste(page: Page, text: string): Promise<void> {
  await page.getByRole("button", { name: "Paste coordinates" }).click();
  await page.getByLabel(/GeoJSON, WKT/).fill(text);
  await page.getByRole("button", { name: "Use it" }).click();
}

/** Axe's rules for WCAG 2.2 AA and its best practices find nothing. */
export async function expectAccessible(page: Page): Promise<void> {
  const { violations } = await new AxeBuilder({ page }).withTags(RULES).analyze();
  expect(violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ target }) => String(target)).join(" ")}`)).toEqual([]);
}

export { expect };
