import type { Map as MapLibre, RasterSourceSpecification } from "maplibre-gl";
import { useEffect } from "react";
import type { Schemas } from "@/api/client";
import { useJob } from "@/job/store";
import type { PaletteName } from "@/legend/dynamicWorld";
import { SLOTS } from "@/map/basemap";
import { useMap } from "@/map/context";
import { cogTiles } from "@/map/drawn";
import { ask } from "@/raster/client";
import { useView } from "@/view/store";
import { paletteFor } from "./layers";

export const RESULT = "result";
const CLASSES = new Set(["map", "generalised"]);

/** The published map over the baseline, in the layer chosen. */
export function ResultLayer() {
  const map = useMap();
  const result = useJob((state) => state.result);
  const { layer, palette, opacity } = useView();
  useEffect(() => {
    if (map === null || result === null) return undefined;
    const leaving = new AbortController();
    void sourceFor(result, layer, palette, leaving.signal).then((source) => {
      if (source && !leaving.signal.aborted) show(map, source, useView.getState().opacity);
    });
    return () => {
      leaving.abort();
      hide(map);
    };
  }, [map, result, layer, palette]);
  useEffect(() => {
    if (map?.getLayer(RESULT)) map.setPaintProperty(RESULT, "raster-opacity", opacity);
  }, [map, opacity]);
  return null;
}

/** Drawn in the browser where it can read the raster, else by TiTiler. */
async function sourceFor(result: Schemas["ResultView"], name: string, palette: PaletteName, signal: AbortSignal): Promise<RasterSourceSpecification | undefined> {
  const layer = result.layers[name] ?? result.layers["map"];
  if (layer === undefined) return undefined;
  const colours = paletteFor(name in result.layers ? name : "map", result, palette);
  const href = new URL(layer.href, document.baseURI).href;
  const readable = colours !== undefined && (await ask<"open">({ kind: "open", href }, signal).then(() => true, () => false));
  const id = `${result.job}-${name}-${palette}-${result.expires}`;
  const tiles = readable ? [cogTiles(id, { kind: "classes", href, palette: colours })] : layer.tilejson.tiles.map((tile) => inColours(tile, name, palette));
  const [west = -180, south = -85, east = 180, north = 85] = layer.tilejson.bounds;
  return { type: "raster", tiles, tileSize: 512, bounds: [west, south, east, north], maxzoom: 17 };
}

function inColours(tile: string, name: string, palette: PaletteName): string {
  return CLASSES.has(name) ? `${tile}&palette=${palette}` : tile;
}

function show(map: MapLibre, source: RasterSourceSpecification, opacity: number): void {
  hide(map);
  map.addSource(RESULT, source);
  const paint = { "raster-resampling": "nearest", "raster-fade-duration": 0, "raster-opacity": opacity, "raster-opacity-transition": { duration: 0 } } as const;
  map.addLayer({ id: RESULT, type: "raster", source: RESULT, paint }, SLOTS.results);
}

function hide(map: MapLibre): void {
  if (map.getLayer(RESULT)) map.removeLayer(RESULT);
  if (map.getSource(RESULT)) map.removeSource(RESULT);
}
