import type { Map as MapLibre } from "maplibre-gl";
import { create } from "zustand";
import { SLOTS } from "./basemap";

/** What lies under everything: the outlines that ship with the page, or the tiles that the operator has set. */
export type Ground = "outlines" | "tiles";

export const useGround = create<{ readonly ground: Ground }>()(() => ({ ground: "tiles" }));

/** Its source and layer: a picture, which may be reduced. */
export const GROUND = "ground";

/** Lays raster tiles under the baselines. Returns what takes them away again. */
export function layGround(map: MapLibre, template: string): () => void {
  const tiles = [new URL(template, document.baseURI).href.replaceAll("%7B", "{").replaceAll("%7D", "}")];
  map.addSource(GROUND, { type: "raster", tiles, tileSize: 256, maxzoom: 19 });
  map.addLayer({ id: GROUND, type: "raster", source: GROUND, paint: { "raster-fade-duration": 0 } }, SLOTS.ground);
  return () => {
    if (map.getLayer(GROUND)) map.removeLayer(GROUND);
    if (map.getSource(GROUND)) map.removeSource(GROUND);
  };
}
