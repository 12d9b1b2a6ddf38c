import { answered, api, type Schemas } from "@/api/client";
import type { Area } from "@/area/geometry";
import type { Season } from "@/season/presets";

export interface Options {
  /** Of Dynamic World, to mark where the map disagrees with it. */
  readonly baselineYear: number | null;
  /** Pixels of the smallest patch of the generalised layer; 0: no such layer. */
  readonly leastPatch: number;
  readonly probabilities: boolean;
}

export interface Order {
  readonly area: Area;
  readonly name: string;
  readonly season: Season;
  readonly model: string;
  readonly catalog: string;
  readonly options: Options;
}

/** What a run of an order takes. */
export function fetchQuote(order: Order, signal: AbortSignal): Promise<Schemas["QuoteView"]> {
  return answered(api.POST("/api/v1/quotes", { body: bodyOf(order), signal }));
}

/** Submits what was quoted; sent twice, it is one job. */
export function submitQuote(quote: string): Promise<Schemas["JobView"]> {
  return answered(api.POST("/api/v1/jobs", { params: { header: { "Idempotency-Key": `quote-${quote}` } }, body: { quote } }));
}

function bodyOf({ area, name, season, model, catalog, options }: Order): Schemas["MapOrder"] {
  const { baselineYear, leastPatch, probabilities } = options;
  // All other options have defaults of the server.
  const chosen = { baseline_year: baselineYear, min_unit_px: leastPatch, probabilities } as Schemas["OrderOptions"];
  return { aoi: { ...area }, aoi_id: "", collection: "", name, season, model, catalog, options: chosen };
}
