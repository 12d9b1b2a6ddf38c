import type { Map as MapLibre } from "maplibre-gl";
import { SLOTS } from "@/map/basemap";
import { addRaster, removeRaster, type Raster } from "@/map/raster";

/** One of them is shown; the other is there while it is loaded to take its place. */
const PREFIX = "result-";
const PLACES = [`${PREFIX}a`, `${PREFIX}b`] as const;

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
  };
  signal.addEventListener("abort", giveUp);
  map.on("sourcedata", swap);
}

export function removeResult(map: MapLibre): void {
  for (const place of PLACES) removeRaster(map, place);
}

/** Of what is shown; what is still loading takes its opacity when it is. */
export function fadeResult(map: MapLibre, opacity: number): void {
  const [only, ...more] = PLACES.filter((place) => map.getLayer(place));
  if (only !== undefined && more.length === 0 && map.isSourceLoaded(only)) map.setPaintProperty(only, "raster-opacity", opacity);
}
