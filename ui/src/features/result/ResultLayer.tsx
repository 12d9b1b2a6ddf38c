import { useEffect } from "react";
import type { Schemas } from "@/api/client";
import { useJob } from "@/job/store";
import type { PaletteName } from "@/legend/dynamicWorld";
import { useMap } from "@/map/context";
import { cogTiles } from "@/map/drawn";
import type { Raster } from "@/map/raster";
import { ask } from "@/raster/client";
import { useView } from "@/view/store";
import { paletteFor } from "./layers";
import { fadeResult, removeResult, replaceResult } from "./shown";

const CLASSES = new Set(["map", "generalised"]);

/** The published map over the baseline, in the layer chosen; the layer before stays until all of the next one is there. */
export function ResultLayer() {
  const map = useMap();
  const result = useJob((state) => state.result);
  const { layer, palette, opacity } = useView();
  useEffect(() => {
    if (map === null || result === null) return undefined;
    const leaving = new AbortController();
    void sourceFor(result, layer, palette, leaving.signal).then((source) => {
      if (source && !leaving.signal.aborted) replaceResult(map, source, () => useView.getState().opacity, leaving.signal);
    });
    return () => leaving.abort();
  }, [map, result, layer, palette]);
  useEffect(() => {
    if (map === null) return undefined;
    return () => removeResult(map);
  }, [map, result]);
  useEffect(() => {
    if (map !== null) fadeResult(map, opacity);
  }, [map, opacity]);
  return null;
}

/** Drawn in the browser where it can read the raster, else by TiTiler. */
async function sourceFor(result: Schemas["ResultView"], name: string, palette: PaletteName, signal: AbortSignal): Promise<Omit<Raster, "opacity"> | undefined> {
  const layer = result.layers[name] ?? result.layers["map"];
  if (layer === undefined) return undefined;
  const colours = paletteFor(name in result.layers ? name : "map", result, palette);
  const href = new URL(layer.href, document.baseURI).href;
  const readable = colours !== undefined && (await ask<"open">({ kind: "open", href }, signal).then(() => true, () => false));
  const id = `${result.job}-${name}-${palette}-${result.expires}`;
  const tiles = readable ? [cogTiles(id, { kind: "classes", href, palette: colours })] : layer.tilejson.tiles.map((tile) => inColours(tile, name, palette));
  const [west = -180, south = -85, east = 180, north = 85] = layer.tilejson.bounds;
  return { tiles, bounds: [west, south, east, north] };
}

function inColours(tile: string, name: string, palette: PaletteName): string {
  return CLASSES.has(name) ? `${tile}&palette=${palette}` : tile;
}
