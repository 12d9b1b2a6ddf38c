import type { MapMouseEvent } from "maplibre-gl";
import { useEffect, useState } from "react";
import type { Schemas } from "@/api/client";
import type { Baseline } from "@/baseline/catalog";
import { useMap } from "@/map/context";
import { ask } from "@/raster/client";

export interface Pixel {
  readonly code: number | null;
  /** Per cent; null where the map has none. */
  readonly confidence: number | null;
  readonly years: readonly { readonly year: number; readonly code: number | null }[];
}

/** Everything known of the point clicked last. */
export function usePixel(result: Schemas["ResultView"], baselines: readonly Baseline[]): Pixel | undefined {
  const map = useMap();
  const [pixel, setPixel] = useState<Pixel | undefined>(undefined);
  useEffect(() => {
    if (map === null) return undefined;
    let leaving = new AbortController();
    const read = ({ lngLat }: MapMouseEvent) => {
      leaving.abort();
      leaving = new AbortController();
      readPixel(result, baselines, lngLat.lng, lngLat.lat, leaving.signal).then(setPixel, () => undefined);
    };
    map.on("click", read);
    return () => {
      leaving.abort();
      map.off("click", read);
    };
  }, [map, result, baselines]);
  return pixel;
}

async function readPixel(result: Schemas["ResultView"], baselines: readonly Baseline[], lon: number, lat: number, signal: AbortSignal): Promise<Pixel> {
  const value = async (href: string | null | undefined) => {
    if (href === null || href === undefined) return null;
    const question = { kind: "value", href: new URL(href, document.baseURI).href, lon, lat } as const;
    return ask<"value">(question, signal).catch(() => null);
  };
  const [code, confidence, ...codes] = await Promise.all([
    value(result.layers["map"]?.href),
    value(result.layers["confidence"]?.href),
    ...baselines.map(({ cog }) => value(cog)),
  ]);
  return { code, confidence, years: baselines.map(({ year }, index) => ({ year, code: codes[index] ?? null })) };
}
