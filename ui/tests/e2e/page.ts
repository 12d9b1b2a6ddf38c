import AxeBuilder from "@axe-core/playwright";
import { test as base, expect, type Page } from "@playwright/test";

export const SHOTS = "test-results/screens";
const RULES = ["wcag2a", "wcag2aa", "wcag21aa", "wcag22aa", "best-practice"];

/** A test fails when the page logs an error; a refused API address is logged by the browser itself and is no error. */
export const test = base.extend({
  page: async ({ page }, give) => {
    const errors: string[] = [];
    watchErrors(page, errors);
    await give(page);
    expect(errors).toEqual([]);
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
      await page.waitForTimeout(400);
      await page.screenshot({ path: `${SHOTS}/${name}-${width}-${colorScheme}.png` });
    }
  }
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
