import type { Schemas } from "@/api/client";
import type { Matrix } from "@/raster/messages";

type Class = Schemas["ClassArea"];

export interface Change {
  readonly from: Class;
  readonly to: Class;
  readonly hectares: number;
}

export interface Changes {
  /** Share of what both maps know that is the same in both; NaN where they know nothing together. */
  readonly same: number;
  /** The largest first; what stayed is not there. */
  readonly changes: readonly Change[];
  /** Hectares by both codes, "from to". */
  readonly cells: ReadonlyMap<string, number>;
}

/** What a change matrix says; each of its points stands for `hectares / total`. */
export function changesOf({ counts, total }: Matrix, before: readonly Class[], after: readonly Class[], hectares: number): Changes {
  const each = hectares / total;
  let [same, known] = [0, 0];
  const changes: Change[] = [];
  const cells = new Map<string, number>();
  for (const from of before) {
    for (const to of after) {
      const points = counts[from.code * 256 + to.code] ?? 0;
      known += points;
      if (points > 0) cells.set(`${from.code} ${to.code}`, points * each);
      if (from.name === to.name) same += points;
      else if (points > 0) changes.push({ from, to, hectares: points * each });
    }
  }
  return { same: same / known, changes: changes.toSorted((a, b) => b.hectares - a.hectares), cells };
}

/** For every code of the later map, that of the class of the same name in the earlier one; 255, no class, where there is none. */
export function meaningOf(before: readonly Pick<Class, "code" | "name">[], after: readonly Pick<Class, "code" | "name">[]): Uint8Array {
  const codes = new Map(before.map(({ code, name }) => [name, code]));
  const meaning = new Uint8Array(256).fill(255);
  for (const { code, name } of after) meaning[code] = codes.get(name) ?? 255;
  return meaning;
}
