import type { Schemas } from "@/api/client";
import { DYNAMIC_WORLD, type MapClass } from "@/legend/dynamicWorld";
import type { YearAreas } from "./useYears";

/** One cover: its hectares in each baseline year, and in the map, of which classes. */
export interface Cover {
  readonly cover: MapClass;
  readonly years: readonly { readonly year: number; readonly hectares: number }[];
  readonly mapped: number;
  readonly classes: readonly string[];
}

/** Covers that the map or a year has, the largest in the map first; classes of the map that mean no cover are left out. */
export function coversOf(areas: readonly Schemas["ClassArea"][], years: readonly YearAreas[]): readonly Cover[] {
  const covers = DYNAMIC_WORLD.map((cover) => {
    const ours = areas.filter(({ counterpart }) => counterpart === cover.code);
    return {
      cover,
      years: years.map(({ year, byCode }) => ({ year, hectares: byCode[cover.code] ?? 0 })),
      mapped: ours.reduce((sum, { hectares }) => sum + hectares, 0),
      classes: ours.filter(({ hectares }) => hectares > 0).map(({ name }) => name),
    };
  });
  const least = areas.reduce((sum, { hectares }) => sum + hectares, 0) * 0.0005;
  const isThere = ({ mapped, years: known }: Cover) => mapped > least || known.some(({ hectares }) => hectares > least);
  return covers.filter(isThere).toSorted((a, b) => b.mapped - a.mapped);
}
