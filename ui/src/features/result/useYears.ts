import { useFetched } from "@/api/useFetched";
import { boundsOf, hectaresOf, polygonsOf, type Area } from "@/area/geometry";
import type { Baseline } from "@/baseline/catalog";
import { useBaselines } from "@/baseline/store";
import { useJob } from "@/job/store";
import { ask } from "@/raster/client";
import { useShown } from "./shown";

/** Hectares by Dynamic World code in an area, of one year. */
export interface YearAreas {
  readonly year: number;
  readonly byCode: readonly number[];
}

/** What each baseline year says of a job's area, counted once the map is shown; undefined until then. Years that cannot be read are left out. */
export function useYears(job: string): readonly YearAreas[] | undefined {
  const baselines = useBaselines((state) => state.baselines);
  const readable = baselines.filter(({ cog }) => cog !== null);
  const area = useJob((state) => state.area);
  const isTime = useShown((state) => state.shown);
  const { data } = useFetched(!isTime || area === null || readable.length === 0 ? null : `${job} ${readable.map(({ year }) => year).join()}`, async (signal) => {
    if (area === null) return [];
    const years = await Promise.all(readable.map((one) => countYear(one, area, signal).catch(() => undefined)));
    return years.filter((one) => one !== undefined);
  });
  return data;
}

async function countYear({ year, cog }: Baseline, area: Area, signal: AbortSignal): Promise<YearAreas | undefined> {
  const rings = polygonsOf(area).flat();
  const { byValue, nodata, total } = await ask<"counts">({ kind: "counts", href: cog ?? "", bounds: boundsOf(area), rings }, signal);
  const each = hectaresOf(area) / total;
  const byCode = byValue.map((points, value) => (value === nodata ? 0 : points * each));
  return byCode.some((one) => one > 0) ? { year, byCode } : undefined;
}
