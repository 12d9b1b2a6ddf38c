import type { Schemas } from "@/api/client";
import type { Tile } from "@/job/follow";

/** Tiles done, failed and in all; what moved since counts. */
export function tally(tiles: Schemas["TileCollection"] | null, moved: ReadonlyMap<string, Tile>) {
  let [done, failed] = [0, 0];
  for (const { properties } of tiles?.features ?? []) {
    const { phase } = moved.get(properties.tile) ?? properties;
    if (phase === "succeeded") done++;
    else if (phase === "failed") failed++;
  }
  return { done, failed, total: tiles?.features.length ?? 0 };
}
