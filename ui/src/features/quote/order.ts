import { answered, api, type Schemas } from "@/api/client";
import type { Area } from "@/area/geometry";
import type { Season } from "@/season/presets";

export interface Order {
  readonly area: Area;
  readonly name: string;
  readonly season: Season;
  readonly model: string;
  readonly catalog: string;
}

/** What a run of an order takes. */
export function fetchQuote(order: Order, signal: AbortSignal): Promise<Schemas["QuoteView"]> {
  return answered(api.POST("/api/v1/quotes", { body: bodyOf(order), signal }));
}

/** Submits what was quoted; sent twice, it is one job. */
export function submitQuote(quote: string): Promise<Schemas["JobView"]> {
  return answered(api.POST("/api/v1/jobs", { params: { header: { "Idempotency-Key": `quote-${quote}` } }, body: { quote } }));
}

function bodyOf({ area, name, season, model, catalog }: Order): Schemas["MapOrder"] {
  return { aoi: { ...area }, aoi_id: "", collection: "", name, season, model, catalog };
}
