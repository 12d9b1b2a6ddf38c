import { describe, expect, it } from "vitest";
import { boundsOf, hectaresOf, isInside, vertexCount, type Area } from "@/area/geometry";
import { tileCount, gridCrsOf } from "@/area/tiles";
import { faultOf } from "@/area/validity";

/** What `steps.aoi.geodesic_km2`, `steps.plan.grid_for` and `tiles_covering` say. */
const KNOWN = [
  { ring: [[31.0755344, -17.7788762], [31.0705179, -17.8412742], [31.0785994, -17.8982502], [31.1292816, -17.9029071], [31.1401204, -17.8363987], [31.1348879, -17.7822262], [31.0755344, -17.7788762]], km2: 87.65404385381898, epsg: 32736, tiles: 4 },
  { ring: [[29.0, -20.0], [31.5, -20.5], [31.0, -18.0], [29.0, -20.0]], km2: 34859.58897580724, epsg: 6933, tiles: 384 },
  { ring: [[-1.2, 51.0], [0.9, 51.2], [0.2, 52.4], [-1.2, 51.0]], km2: 10267.72199025555, epsg: 6933, tiles: 129 },
];

function polygon(...rings: number[][][]): Area {
  return { type: "Polygon", coordinates: rings };
}

describe("the size of an area", () => {
  it.each(KNOWN)("is the server's: $km2 km2 in $tiles tiles of EPSG:$epsg", ({ ring, km2, epsg, tiles }) => {
    expect(hectaresOf(polygon(ring)) / 100 / km2).toBeCloseTo(1, 6);
    expect(gridCrsOf(polygon(ring))).toBe(epsg);
    expect(tileCount(polygon(ring))).toBe(tiles);
  });

  it("leaves holes out", () => {
    const outer = [[31, -17], [32, -17], [32, -16], [31, -16], [31, -17]];
    const hole = [[31.4, -16.6], [31.6, -16.6], [31.6, -16.4], [31.4, -16.4], [31.4, -16.6]];
    const whole = hectaresOf(polygon(outer));
    expect(hectaresOf(polygon(outer, hole))).toBeCloseTo(whole - hectaresOf(polygon(hole)), 6);
    expect(isInside(polygon(outer, hole), 31.5, -16.5)).toBe(false);
    expect(isInside(polygon(outer, hole), 31.2, -16.5)).toBe(true);
    expect(vertexCount(polygon(outer, hole))).toBe(8);
    expect(boundsOf(polygon(outer, hole))).toEqual([31, -17, 32, -16]);
  });

  it("is the server's business over the antimeridian", () => {
    expect(tileCount(polygon([[179, -18], [181, -18], [181, -17], [179, -18]]))).toBeUndefined();
  });
});

describe("an area that cannot be mapped", () => {
  const limits = { maxKm2: 100, maxVertices: 10 };

  it("says that it crosses itself, and where", () => {
    const fault = faultOf(polygon([[0, 0], [1, 1], [1, 0], [0, 1], [0, 0]]), { ...limits, maxKm2: 1e6 });
    expect(fault).toMatchObject({ kind: "crosses-itself", at: [0.5, 0.5] });
  });

  it("says that it is too large, too small, or has too many vertices", () => {
    expect(faultOf(polygon([[0, 0], [1, 0], [1, 1], [0, 0]]), limits)?.kind).toBe("too-large");
    expect(faultOf(polygon([[0, 0], [1e-6, 0], [1e-6, 1e-6], [0, 0]]), limits)?.kind).toBe("too-small");
    const circle = Array.from({ length: 12 }, (_, i) => [0.01 * Math.cos(i / 2), 0.01 * Math.sin(i / 2)]);
    expect(faultOf(polygon([...circle, circle[0] as number[]]), limits)?.kind).toBe("too-many-vertices");
  });

  it("is none when it can", () => {
    expect(faultOf(polygon([[31, -17], [31.01, -17], [31.01, -16.99], [31, -17]]), limits)).toBeUndefined();
  });
});
