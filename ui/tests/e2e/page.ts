import { test as base, expect } from "@playwright/test";

/** A test fails when the page logs an error; a refused API address is logged by the browser itself and is no error. */
export const test = base.extend({
  page: async ({ page }, give) => {
    const errors: string[] = [];
    page.on("pageerror", (error) => errors.push(error.message));
    page.on("console", (message) => {
      const { url } = message.location();
      if (message.type() === "error" && !/\/api\/|baselines\.json/.test(url)) errors.push(`${message.text()} (${url})`);
    });
    await give(page);
    expect(errors).toEqual([]);
  },
});

export { expect };
