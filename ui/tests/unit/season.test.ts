import { describe, expect, it } from "vitest";
import { presets } from "@/season/presets";

describe("season presets", () => {
  it("have ended, the newest first", () => {
    const found = presets("2026-03-15");
    expect(found.every(({ end }) => end < "2026-03-15")).toBe(true);
    expect(found[0]).toMatchObject({ end: "2025-09-30" });
    expect(found).toContainEqual({ kind: "summer", year: 2024, start: "2024-10-01", end: "2025-04-30" });
    expect(found.map(({ end }) => end)).toEqual(found.map(({ end }) => end).toSorted().toReversed());
  });
});
