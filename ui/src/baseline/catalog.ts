import type { Bounds } from "@/raster/lattice";

/** One year of Dynamic World. At least one of `cog` and `tiles` is there. */
export interface Baseline {
  readonly year: number;
  /** First day, where the year is not whole. */
  readonly partialFrom: string;
  readonly bounds: Bounds;
  /** The raster itself, drawn in the browser. */
  readonly cog: string | null;
  /** TiTiler's tiles of 512 px, drawn by the server. */
  readonly tiles: readonly string[];
}

/** The baselines of the file beside the page or, where there is none, of the API; by year. */
export async function fetchBaselines(signal: AbortSignal): Promise<readonly Baseline[]> {
  const found = (await attempt("./baselines.json", signal)) ?? (await attempt("./api/v1/baselines", signal));
  if (found === undefined) throw new Error("neither baselines.json nor the API answers");
  return found.toSorted((a, b) => a.year - b.year);
}

const SHARED_MS = 10_000;
let asked: { readonly at: number; readonly answer: Promise<readonly Baseline[]> } | undefined;

/** As `fetchBaselines`, but who asks soon after another gets the same answer. */
export function askBaselines(): Promise<readonly Baseline[]> {
  if (asked !== undefined && performance.now() - asked.at < SHARED_MS) return asked.answer;
  const answer = fetchBaselines(AbortSignal.timeout(20_000));
  answer.catch(() => (asked = undefined));
  asked = { at: performance.now(), answer };
  return answer;
}

/** The year to show: the one asked for where there is one, else the newest. */
export function chosenBaseline(baselines: readonly Baseline[], year: number | null): Baseline | undefined {
  return baselines.find((one) => one.year === year) ?? baselines.at(-1);
}

async function attempt(address: string, signal: AbortSignal): Promise<readonly Baseline[] | undefined> {
  try {
    const response = await fetch(address, { signal, headers: { accept: "application/json" } });
    return response.ok ? parseBaselines(await response.json(), response.url) : undefined;
  } catch (error) {
    if (signal.aborted) throw error;
    return undefined;
  }
}

/** Baselines of a document, its addresses made absolute against where it came from; entries that are none are left out. */
export function parseBaselines(document: unknown, base: string): readonly Baseline[] {
  const items = Array.isArray(document) ? (document as unknown[]) : isRecord(document) ? document["baselines"] ?? document["items"] : [];
  return Array.isArray(items) ? (items as unknown[]).flatMap((item) => parseOne(item, base)) : [];
}

function parseOne(item: unknown, base: string): Baseline[] {
  if (!isRecord(item) || typeof item["year"] !== "number") return [];
  const tilejson = isRecord(item["tilejson"]) ? item["tilejson"] : item;
  const tiles = strings(tilejson["tiles"]).map((tile) => absolute(tile, base));
  const cog = typeof item["cog"] === "string" && item["cog"] !== "" ? absolute(item["cog"], base) : null;
  const bounds = boundsIn(item["bounds"]);
  if (bounds === undefined || (cog === null && tiles.length === 0)) return [];
  const partialFrom = typeof item["partial_from"] === "string" ? item["partial_from"] : "";
  return [{ year: item["year"], partialFrom, bounds, cog, tiles }];
}

/** `new URL` would encode the braces of {z}. */
function absolute(address: string, base: string): string {
  return new URL(address, base).href.replaceAll("%7B", "{").replaceAll("%7D", "}");
}

function strings(value: unknown): string[] {
  return Array.isArray(value) ? value.filter((one): one is string => typeof one === "string") : [];
}

function boundsIn(value: unknown): Bounds | undefined {
  const numbers = Array.isArray(value) ? value.filter((one): one is number => Number.isFinite(one)) : [];
  const [west, south, east, north] = numbers;
  if (west === undefined || south === undefined || east === undefined || north === undefined) return undefined;
  return [west, south, east, north];
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
