import { useEffect } from "react";
import type { Schemas } from "@/api/client";
import { wordOf } from "@/legend/dynamicWorld";
import { SLOTS } from "@/map/basemap";
import { useMap } from "@/map/context";
import { cogTiles } from "@/map/drawn";
import { addRaster, removeRaster } from "@/map/raster";
import { meaningOf } from "./changes";

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
    const tiles = [cogTiles(`change-${result.job}-${next.job}`, { kind: "change", href, other, colour: wordOf(CHANGED), meaning: meaningOf(result.areas, next.areas) })];
    addRaster(map, ID, SLOTS.outlines, { tiles, opacity: 1 });
    return () => removeRaster(map, ID);
  }, [map, result, next]);
  return null;
}
