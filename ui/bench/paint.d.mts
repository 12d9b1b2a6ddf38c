import type { Browser, Page } from "@playwright/test";

export interface Picture {
  readonly at: number;
  readonly jpeg: string;
  readonly share: number;
}

export function firstPixel(browser: Browser, tab: Page, load: () => Promise<unknown>, navigates?: boolean): Promise<{ readonly at: number; readonly frames: readonly Picture[] }>;
