import type { Map as MapLibre } from "maplibre-gl";
import { create } from "zustand";
import { SLOTS } from "@/map/basemap";
import { addRaster, removeRaster, type Raster } from "@/map/raster";

/** One of them is shown; the other is there while it is loaded to take its place. */
const PREFIX = "result-";
const PLACES = [`${PREFIX}a`, `${PREFIX}b`] as const;

/** Whether the published map lies over the baseline; what else is worked out of it waits for that. */
export const useShown = create<{ readonly shown: boolean }>()(() => ({ shown: false }));

export function isResult(layer: string): boolean {
  return layer.startsWith(PREFIX);
}

/** Shows a raster once its tiles in view are there, and takes the one before away; neither, once the signal aborts. */
export function replaceResult(map: MapLibre, raster: Omit<Raster, "opacity">, opacity: () => number, signal: AbortSignal): void {
  const [next, before] = map.getLayer(PLACES[0]) ? [PLACES[1], PLACES[0]] : PLACES;
  removeRaster(map, next);
  addRaster(map, next, SLOTS.results, { ...raster, opacity: 0 });
  const end = () => {
    map.off("sourcedata", swap);
    map.off("error", swap);
    signal.removeEventListener("abort", giveUp);
  };
  const giveUp = () => {
    end();
    removeRaster(map, next);
  };
  const swap = () => {
    if (!map.getSource(next) || !map.isSourceLoaded(next)) return;
    end();
    map.setPaintProperty(next, "raster-opacity", opacity());
    removeRaster(map, before);
    map.once("render", () => requestAnimationFrame(() => useShown.setState({ shown: map.getLayer(next) !== undefined })));
  };
  signal.addEventListener("abort", giveUp);
  map.on("sourcedata", swap);
  map.on("error", swap); // a tile that cannot be had holds up no other
}

export function removeResult(map: MapLibre): void {
  for (const place of PLACES) removeRaster(map, place);
  useShown.setState({ shown: false });
}

/** Of what is shown; what is still loading takes its opacity when it is. */
export function fadeResult(map: MapLibre, opacity: number): void {
  const [only, ...more] = PLACES.filter((place) => map.getLayer(place));
  if (only !== undefined && more.length === 0 && map.isSourceLoaded(only)) map.setPaintProperty(only, "raster-opacity", opacity);
}
