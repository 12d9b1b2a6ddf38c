import { useEffect } from "react";
import type { Schemas } from "@/api/client";
import { wordOf } from "@/legend/dynamicWorld";
import { SLOTS } from "@/map/basemap";
import { useMap } from "@/map/context";
import { cogTiles } from "@/map/drawn";

const ID = "change";
const CHANGED = "b5179e";

interface Props {
  readonly result: Schemas["ResultView"];
  readonly next: Schemas["ResultView"];
}

/** Pixels that differ, over both maps. */
export function ChangeLayer({ result, next }: Props) {
  const map = useMap();
  useEffect(() => {
    const [href, other] = [result.layers["map"]?.href, next.layers["map"]?.href].map((one) => one && new URL(one, document.baseURI).href);
    if (map === null || !href || !other) return undefined;
    const tiles = [cogTiles(`change-${result.job}-${next.job}`, { kind: "change", href, other, colour: wordOf(CHANGED) })];
    map.addSource(ID, { type: "raster", tiles, tileSize: 512, maxzoom: 17 });
    map.addLayer({ id: ID, type: "raster", source: ID, paint: { "raster-resampling": "nearest", "raster-fade-duration": 0 } }, SLOTS.outlines);
    return () => {
      if (map.getLayer(ID)) map.removeLayer(ID);
      if (map.getSource(ID)) map.removeSource(ID);
    };
  }, [map, result, next]);
  return null;
}
