import type { Map as MapLibre } from "maplibre-gl";
import { useEffect, useState } from "react";
import type { Baseline } from "@/baseline/catalog";
import { useMap } from "@/map/context";
import { ask } from "@/raster/client";
import { boundsHectares, type Bounds } from "@/raster/lattice";

/** Hectares by class code in view, and without data. */
export interface InView {
  readonly byCode: readonly number[];
  readonly unmapped: number;
  readonly mapped: number;
}

const SETTLE_MS = 120;

/** Areas per class in view, counted on points of equal area; undefined until counted. */
export function useCounts(baseline: Baseline | undefined): InView | undefined {
  const map = useMap();
  const bounds = useBounds(map);
  const [counts, setCounts] = useState<InView | undefined>(undefined);
  const href = baseline?.cog ?? null;
  useEffect(() => {
    if (href === null || bounds === null) return undefined;
    const leaving = new AbortController();
    const wait = setTimeout(() => {
      countClasses(href, bounds, leaving.signal).then(setCounts, () => undefined);
    }, SETTLE_MS);
    return () => {
      clearTimeout(wait);
      leaving.abort();
    };
  }, [href, bounds]);
  return href === null ? undefined : counts;
}

async function countClasses(href: string, bounds: Bounds, signal: AbortSignal): Promise<InView> {
  const { byValue, nodata, total } = await ask<"counts">({ kind: "counts", href, bounds }, signal);
  const each = boundsHectares(bounds) / total;
  const unmapped = (byValue[nodata] ?? 0) * each;
  const byCode = byValue.map((points, value) => (value === nodata ? 0 : points * each));
  return { byCode, unmapped, mapped: byCode.reduce((sum, one) => sum + one, 0) };
}

function useBounds(map: MapLibre | null): Bounds | null {
  const [bounds, setBounds] = useState<Bounds | null>(null);
  useEffect(() => {
    if (map === null) return undefined;
    const read = () => setBounds(boundsOf(map));
    read();
    map.on("moveend", read);
    return () => void map.off("moveend", read);
  }, [map]);
  return bounds;
}

function boundsOf(map: MapLibre): Bounds {
  const view = map.getBounds();
  return [view.getWest(), view.getSouth(), view.getEast(), view.getNorth()];
}
