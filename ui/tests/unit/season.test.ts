import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { daysOf, isOfLength, presets, seasonFor, seasonFrom, seasonUntil } from "@/season/presets";

describe("season presets", () => {
  it("have ended, the newest first", () => {
    const found = presets("2026-03-15");
    expect(found.every(({ end }) => end < "2026-03-15")).toBe(true);
    expect(found[0]).toMatchObject({ end: "2025-09-30" });
    expect(found).toContainEqual({ kind: "summer", year: 2024, start: "2024-10-01", end: "2025-04-30" });
    expect(found.map(({ end }) => end)).toEqual(found.map(({ end }) => end).toSorted().toReversed());
  });
});

describe("the length of a season", () => {
  it("counts both ends, and a leap day", () => {
    expect(daysOf({ start: "2021-10-01", end: "2022-09-30" })).toBe(365);
    expect(daysOf({ start: "2023-10-01", end: "2024-09-30" })).toBe(366);
  });

  it("is what a model wants, whatever day it begins", () => {
    fc.assert(fc.property(fc.integer({ min: 0, max: 9_000 }), fc.integer({ min: 1, max: 400 }), (offset, days) => {
      const start = new Date(Date.UTC(2015, 0, 1 + offset)).toISOString().slice(0, 10);
      expect(daysOf(seasonFrom(start, days))).toBe(days);
      expect(isOfLength(seasonFrom(start, days), days)).toBe(true);
      expect(seasonUntil(seasonFrom(start, days).end, days)).toEqual(seasonFrom(start, days));
    }));
  });

  it("is made what a model wants, and left alone where it is or may be any", () => {
    const season = { start: "2021-09-15", end: "2022-09-30" };
    expect(seasonFor(season, 365)).toEqual({ start: "2021-09-15", end: "2022-09-14" });
    expect(seasonFor(season, 400)).toEqual({ start: "2021-09-15", end: "2022-10-19" });
    expect(seasonFor(season, 381)).toBe(season);
    expect(seasonFor(season, null)).toBe(season);
  });
});
