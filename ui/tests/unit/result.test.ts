import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { isInside } from "@/area/geometry";
import { changesOf } from "@/features/compare/changes";
import { baselineFor } from "@/baseline/fit";
import { coversOf } from "@/features/result/history";
import { isWithin } from "@/raster/inside";
import { lengthOf } from "@/raster/range";

const classOf = (code: number, name: string, hectares: number, counterpart: number | null) => {
  return { code, name, colour: "123456", safe_colour: "123456", hectares, share: 0, counterpart, adjusted_hectares: null, interval_hectares: null };
};

describe("points of a lattice within an area", () => {
  it("are those that the area holds, holes left out", () => {
    const coordinate = fc.integer({ min: -40, max: 40 });
    const corner = fc.tuple(coordinate, coordinate);
    const ring = fc.array(corner, { minLength: 3, maxLength: 8 }).map((found) => [...found, found[0] as [number, number]]);
    fc.assert(fc.property(ring, (outer) => {
      // Irrational, so that no point lies on an edge, where rounding decides.
      const [lons, lats] = [[-14.3, -2.6, 3.6, 16.2], [12.9, 1.9, -8.4]].map((found) => Float64Array.from(found, (at) => at * Math.SQRT2)) as [Float64Array, Float64Array];
      const isThere = isWithin({ lons, lats }, [outer]);
      lats.forEach((lat, row) => lons.forEach((lon, col) => {
        expect(isThere(0, row * lons.length + col)).toBe(isInside({ type: "Polygon", coordinates: [outer] }, lon, lat));
      }));
    }));
  });

  it("are outside of a hole", () => {
    const square = (half: number) => [[-half, -half], [half, -half], [half, half], [-half, half], [-half, -half]];
    const isThere = isWithin({ lons: Float64Array.of(0, 3), lats: Float64Array.of(0) }, [square(5), square(1)]);
    expect([isThere(0, 0), isThere(0, 1)]).toEqual([false, true]);
  });
});

describe("the chart against baseline years", () => {
  it("puts classes of one cover together, and leaves out what means none", () => {
    const byCode = new Array<number>(256).fill(0);
    byCode[4] = 30;
    byCode[0] = 5;
    const areas = [classOf(1, "maize", 12, 4), classOf(2, "soya", 8, 4), classOf(3, "quarry lake", 9, null)];
    const covers = coversOf(areas, [{ year: 2020, byCode }]);
    expect(covers.map(({ cover, mapped }) => [cover.name, mapped])).toEqual([["crops", 20], ["water", 0]]);
    expect(covers[0]?.classes).toEqual(["maize", "soya"]);
  });
});

describe("a comparison", () => {
  it("says what became of what, and which share stayed", () => {
    const counts = new Uint32Array(256 * 256);
    counts[1 * 256 + 1] = 60;
    counts[1 * 256 + 2] = 40;
    const classes = [classOf(1, "maize", 0, 4), classOf(2, "soya", 0, 4)];
    const found = changesOf({ counts, total: 200 }, classes, classes, 400);
    expect(found.same).toBeCloseTo(0.6);
    expect(found.changes.map(({ from, to, hectares }) => [from.name, to.name, hectares])).toEqual([["maize", "soya", 80]]);
    expect(found.cells.get("1 1")).toBe(120);
  });
});

describe("an order", () => {
  it("is compared with the year in which its season ends, or one beside it, or none", () => {
    const season = { start: "2021-10-01", end: "2022-09-30" };
    expect(baselineFor(season, [2020, 2021, 2022, 2023])).toBe(2022);
    expect(baselineFor(season, [2019, 2021])).toBe(2021);
    expect(baselineFor(season, [2015, 2020])).toBeNull();
  });
});

describe("a range", () => {
  it("has the length that its header names", () => {
    expect(lengthOf("bytes 65536-82246/82247")).toBe(16_711);
    expect(lengthOf(null)).toBeUndefined();
  });
});
