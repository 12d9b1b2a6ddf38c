import { useMemo } from "react";
import type { Area } from "@/area/geometry";
import { tileCount } from "@/area/tiles";
import { count, strings } from "@/strings";

export default function TileCount({ area }: { readonly area: Area }) {
  const tiles = useMemo(() => tileCount(area), [area]);
  return tiles === undefined ? <small>{strings.area.tilesUnknown}</small> : count(tiles);
}
