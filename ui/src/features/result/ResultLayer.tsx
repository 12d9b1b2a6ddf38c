import type { Map as MapLibre, RasterSourceSpecification } from "maplibre-gl";
import { useEffect } from "react";
import type { Schemas } from "@/api/client";
import { useJob } from "@/job/store";
import type { PaletteName } from "@/legend/dynamicWorld";
import { SLOTS } from "@/map/basemap";
import { useMap } from "@/map/context";
import { cogTiles } from "@/map/drawn";
import { useView } from "@/view/store";
import { paletteFor } from "./layers";

export const RESULT = "result";

/** The published map over the baseline, in the layer chosen. */
export function ResultLayer() {
  const map = useMap();
  const result = useJob((state) => state.result);
  const { layer, palette, opacity } = useView();
  useEffect(() => {
    const source = result && sourceFor(result, layer, palette);
    if (map === null || !source) return undefined;
    show(map, source);
    return () => hide(map);
  }, [map, result, layer, palette]);
  useEffect(() => {
    if (map?.getLayer(RESULT)) map.setPaintProperty(RESULT, "raster-opacity", opacity);
  }, [map, opacity, result, layer, palette]);
  return null;
}

function sourceFor(result: Schemas["ResultView"], name: string, palette: PaletteName): RasterSourceSpecification | undefined {
  const layer = result.layers[name] ?? result.layers["map"];
  if (layer === undefined) return undefined;
  const colours = paletteFor(name, result, palette);
  const href = new URL(layer.href, document.baseURI).href;
  const tiles = colours ? [cogTiles(`${result.job}-${name}-${palette}`, { kind: "classes", href, palette: colours })] : layer.tilejson.tiles;
  const [west = -180, south = -85, east = 180, north = 85] = layer.tilejson.bounds;
  return { type: "raster", tiles: [...tiles], tileSize: 512, bounds: [west, south, east, north], maxzoom: 17 };
}

function show(map: MapLibre, source: RasterSourceSpecification): void {
  map.addSource(RESULT, source);
  const paint = { "raster-resampling": "nearest", "raster-fade-duration": 0, "raster-opacity-transition": { duration: 0 } } as const;
  map.addLayer({ id: RESULT, type: "raster", source: RESULT, paint }, SLOTS.outlines);
}

function hide(map: MapLibre): void {
  if (map.getLayer(RESULT)) map.removeLayer(RESULT);
  if (map.getSource(RESULT)) map.removeSource(RESULT);
}
