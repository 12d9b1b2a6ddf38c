import type { Season } from "@/season/presets";

/** The year of a baseline that fits a season: that in which it ends, or else the nearest that there is. */
export function baselineFor(season: Season, years: readonly number[]): number | null {
  const wanted = Number(season.end.slice(0, 4));
  const nearest = years.toSorted((a, b) => Math.abs(a - wanted) - Math.abs(b - wanted))[0];
  return nearest !== undefined && Math.abs(nearest - wanted) <= 1 ? nearest : null;
}
