import { describe, expect, it } from "vitest";
import { toPlane } from "@/raster/crs";
import { cameraFor } from "@/map/camera";
import { boundsHectares, equalAreaLattice, frameOf, latitude, shareOf, tileLattice } from "@/raster/lattice";
import { differences } from "@/raster/paint";
import { Recent } from "@/raster/recent";

describe("lattices", () => {
  it("puts a tile's pixel centres where web mercator has them", () => {
    const { lons, lats } = tileLattice(1, 1, 1, 512);
    expect(lons[0]).toBeCloseTo(180 / 1024, 9);
    expect(lats[0]).toBeLessThan(0);
    expect(lats.at(-1)).toBeCloseTo(-85.011, 1);
  });

  it("puts a frame's pixels where the tiles below it have theirs", () => {
    const tile = tileLattice(12, 2401, 2255, 512);
    const [lon, lat] = [(2401.5 / 4096) * 360 - 180, latitude(2255.5 / 4096)];
    const frame = frameOf(lon, lat, 12, 256, 128);
    expect(frame).toMatchObject({ scale: 1, left: 0, top: 0 });
    expect(frame.lattice.lons[0]).toBeCloseTo(tile.lons[128] ?? 0, 9);
    expect(frame.lattice.lats[127]).toBeCloseTo(tile.lats[319] ?? 0, 9);
  });

  it("covers a frame between two zooms with whole pixels of the nearer one", () => {
    const { lattice, scale, left, top } = frameOf(31.07, -17.84, 12.4, 1280, 800);
    expect(scale).toBeCloseTo(2 ** 0.4);
    expect(Math.max(left, top)).toBeLessThanOrEqual(0);
    expect(Math.min(left, top)).toBeGreaterThan(-scale);
    expect(left + lattice.lons.length * scale).toBeGreaterThanOrEqual(1280);
    expect(top + lattice.lats.length * scale).toBeGreaterThanOrEqual(800);
  });

  it.each([[1280, 800], [1281, 801]])("puts the pixels of a frame of %i x %i onto whole ones of the screen, as the map does", (width, height) => {
    const { lattice, scale, left, top } = frameOf(31.0719387, -17.8412915, 11.899, width, height);
    const world = 512 * 2 ** 11 * scale;
    const [x, y] = [(((lattice.lons[0] ?? 0) + 180) / 360) * world, shareOf(lattice.lats[0] ?? 0) * world];
    for (const onScreen of [x - scale / 2 - left, y - scale / 2 - top]) expect(onScreen - Math.round(onScreen)).toBeCloseTo(0, 6);
  });

  it("shows bounds whole, their edges at the frame's", () => {
    const [lon, lat, zoom] = cameraFor([30.99, -17.92, 31.15, -17.76], 800, 600);
    const { lats, lons } = frameOf(lon, lat, zoom, 800, 600).lattice;
    expect(lons[0]).toBeLessThan(30.99);
    expect(lats[0]).toBeCloseTo(-17.76, 3);
    expect(lats.at(-1)).toBeCloseTo(-17.92, 3);
    expect(latitude(shareOf(-17.9))).toBeCloseTo(-17.9, 9);
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
    const found = differences(Uint8Array.of(1, 2, 255, 3), Uint8Array.of(1, 4, 1, 0), [255, 0], Uint8Array.from({ length: 256 }, (_, i) => i));
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
