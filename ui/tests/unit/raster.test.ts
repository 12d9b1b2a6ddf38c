import { describe, expect, it } from "vitest";
import { toPlane } from "@/raster/crs";
import { boundsHectares, equalAreaLattice, tileLattice } from "@/raster/lattice";
import { differences } from "@/raster/paint";
import { Recent } from "@/raster/recent";

describe("lattices", () => {
  it("puts a tile's pixel centres where web mercator has them", () => {
    const { lons, lats } = tileLattice(1, 1, 1, 512);
    expect(lons[0]).toBeCloseTo(180 / 1024, 9);
    expect(lats[0]).toBeLessThan(0);
    expect(lats.at(-1)).toBeCloseTo(-85.011, 1);
  });

  it("gives every point of the equal-area lattice the same area", () => {
    const { lats } = equalAreaLattice([0, -60, 10, 60], 4, 400);
    const sines = [...lats].map((lat) => Math.sin((lat * Math.PI) / 180));
    const steps = sines.slice(1).map((sine, index) => sine - (sines[index] ?? 0));
    expect(Math.max(...steps) - Math.min(...steps)).toBeLessThan(1e-12);
  });

  it("knows the area of the globe", () => {
    expect(boundsHectares([-180, -90, 180, 90]) / 100).toBeCloseTo(510_065_622, -4);
  });
});

describe("planes", () => {
  it("projects to a southern UTM zone as PROJ does", () => {
    const [x, y] = toPlane(32_736)(31.0755344, -17.7788762);
    expect(x).toBeGreaterThan(288_000);
    expect(y).toBeLessThan(8_034_000);
    expect(toPlane(32_736)(33, -17.8)[0]).toBeCloseTo(500_000, 3);
  });

  it("refuses a CRS that it does not know", () => {
    expect(() => toPlane(2_154)).toThrow("EPSG:2154");
  });
});

describe("differences", () => {
  it("marks pixels that differ, not those that one of both lacks", () => {
    const found = differences(Uint8Array.of(1, 2, 255, 3), Uint8Array.of(1, 4, 1, 0), [255, 0]);
    expect([...found]).toEqual([0, 1, 0, 0]);
  });
});

describe("what was used last", () => {
  it("is kept, and the oldest goes", () => {
    const kept = new Recent<number>(2);
    kept.get("a", () => 1);
    kept.get("b", () => 2);
    kept.get("a", () => 9);
    kept.get("c", () => 3);
    expect(kept.get("a", () => 7)).toBe(1);
    expect(kept.get("b", () => 8)).toBe(8);
  });

  it("is forgotten when it failed", async () => {
    const kept = new Recent<Promise<number>>(2);
    await kept.get("a", () => Promise.reject(new Error("gone"))).catch(() => undefined);
    await expect(kept.get("a", () => Promise.resolve(2))).resolves.toBe(2);
  });
});
