import type { MapMouseEvent } from "maplibre-gl";
import { useEffect, useState } from "react";
import type { Baseline } from "@/baseline/catalog";
import { useMap } from "@/map/context";
import { ask } from "@/raster/client";
import { useView } from "@/view/store";

export interface Here {
  readonly lon: number;
  readonly lat: number;
  /** Class code; null where there is no data. */
  readonly code: number | null;
}

/** The class at the point clicked last, in the year that is shown. */
export function useClassHere(baseline: Baseline | undefined): Here | undefined {
  const map = useMap();
  const [point, setPoint] = useState<readonly [number, number] | undefined>(undefined);
  const [here, setHere] = useState<Here | undefined>(undefined);
  useEffect(() => {
    if (map === null) return undefined;
    const read = ({ lngLat }: MapMouseEvent) => {
      if (useView.getState().tool === null) setPoint([lngLat.lng, lngLat.lat]);
    };
    map.on("click", read);
    return () => void map.off("click", read);
  }, [map]);
  const href = baseline?.cog ?? null;
  useEffect(() => {
    if (point === undefined || href === null) return undefined;
    const leaving = new AbortController();
    const [lon, lat] = point;
    ask<"value">({ kind: "value", href, lon, lat }, leaving.signal).then((code) => setHere({ lon, lat, code }), () => undefined);
    return () => leaving.abort();
  }, [href, point]);
  return here;
}
