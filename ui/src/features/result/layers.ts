import type { Schemas } from "@/api/client";
import { inPalette, paletteOf, rampPalette, type MapClass, type PaletteName } from "@/legend/dynamicWorld";
import { strings } from "@/strings";

/** From none to all of it; light in the middle, so that both ends stand out. The reports use the same. */
export const CONFIDENCE_RAMP: readonly string[] = ["b5473a", "e8a25c", "f1e3b0", "7fb6ad", "1f6f78", "0d3b4f"];
const CLEAR_RAMP: readonly string[] = ["f3ead2", "d9d38c", "93bf85", "4d9a86", "2a6f85", "263f66"];
export const DISAGREEMENT: readonly MapClass[] = [
  { code: 0, name: strings.result.agrees, colour: "cdd8cf" },
  { code: 1, name: strings.result.disagrees, colour: "b5179e" },
];
const MOST_CONFIDENCE = 100;
const MOST_CLEAR = 40;

/** What people call a layer. */
export function layerName(layer: string): string {
  const names: Readonly<Record<string, string>> = strings.result.names;
  return names[layer] ?? layer;
}

/** Colours of a layer that the browser can draw; undefined where only TiTiler can. */
export function paletteFor(layer: string, result: Schemas["ResultView"], palette: PaletteName): Uint32Array | undefined {
  switch (layer) {
    case "map":
    case "generalised":
      return paletteOf(inPalette(result.areas, palette));
    case "confidence":
    case "margin":
      return rampPalette(CONFIDENCE_RAMP, MOST_CONFIDENCE);
    case "clear":
      return rampPalette(CLEAR_RAMP, MOST_CLEAR);
    case "disagreement":
      return paletteOf(DISAGREEMENT);
    default:
      return undefined;
  }
}

/** What the colours of a layer mean: a ramp with its ends, or classes; undefined where the areas are the legend. */
export type LayerKey =
  | { readonly kind: "ramp"; readonly colours: readonly string[]; readonly low: string; readonly high: string }
  | { readonly kind: "classes"; readonly classes: readonly MapClass[] };

export function keyOf(layer: string): LayerKey | undefined {
  switch (layer) {
    case "confidence":
    case "margin":
      return { kind: "ramp", colours: CONFIDENCE_RAMP, low: "0 %", high: "100 %" };
    case "clear":
      return { kind: "ramp", colours: CLEAR_RAMP, low: strings.result.days(0), high: strings.result.days(MOST_CLEAR) };
    case "disagreement":
      return { kind: "classes", classes: DISAGREEMENT };
    default:
      return undefined;
  }
}
