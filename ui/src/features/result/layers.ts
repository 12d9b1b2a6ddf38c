import type { Schemas } from "@/api/client";
import { inPalette, paletteOf, rampPalette, type MapClass, type PaletteName } from "@/legend/dynamicWorld";

/** From none to all of it; light in the middle, so that both ends stand out. The reports use the same. */
export const CONFIDENCE_RAMP: readonly string[] = ["b5473a", "e8a25c", "f1e3b0", "7fb6ad", "1f6f78", "0d3b4f"];
export const DISAGREEMENT: readonly MapClass[] = [
  { code: 0, name: "agrees", colour: "cdd8cf" },
  { code: 1, name: "disagrees", colour: "b5179e" },
];
const MOST_CONFIDENCE = 100;

/** Colours of a layer that the browser can draw; undefined where only TiTiler can. */
export function paletteFor(layer: string, result: Schemas["ResultView"], palette: PaletteName): Uint32Array | undefined {
  switch (layer) {
    case "map":
    case "generalised":
      return paletteOf(inPalette(result.areas, palette));
    case "confidence":
    case "margin":
      return rampPalette(CONFIDENCE_RAMP, MOST_CONFIDENCE);
    case "disagreement":
      return paletteOf(DISAGREEMENT);
    default:
      return undefined;
  }
}
