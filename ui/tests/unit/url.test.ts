import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { decodeArea, encodeArea } from "@/view/polyline";
import { START } from "@/view/store";
import { fromHash, toHash } from "@/view/url";

const position = fc.tuple(fc.integer({ min: -180e6, max: 180e6 }), fc.integer({ min: -90e6, max: 90e6 }));
const ring = fc.array(position, { minLength: 3, maxLength: 40 }).map((found) => {
  const positions = found.map(([x, y]) => [x / 1e6, y / 1e6]);
  return [...positions, positions[0] as number[]];
});
const polygon = fc.array(ring, { minLength: 1, maxLength: 3 });

describe("an area in letters", () => {
  it("comes back as it was, to the micro-degree", () => {
    fc.assert(fc.property(polygon, (coordinates) => {
      expect(decodeArea(encodeArea({ type: "Polygon", coordinates }))).toEqual({ type: "Polygon", coordinates });
    }));
  });

  it("comes back with all its parts", () => {
    fc.assert(fc.property(fc.array(polygon, { minLength: 2, maxLength: 4 }), (coordinates) => {
      expect(decodeArea(encodeArea({ type: "MultiPolygon", coordinates }))).toEqual({ type: "MultiPolygon", coordinates });
    }));
  });

  it("is undefined for anything else, never an error", () => {
    fc.assert(fc.property(fc.string(), (text) => {
      const area = decodeArea(text);
      expect(area === undefined || area.coordinates.length > 0).toBe(true);
    }));
  });
});

describe("the fragment", () => {
  it("holds the view, the year, the job and how it is shown", () => {
    const view = { ...START, camera: [31.0712, -17.84, 11.3] as const, year: 2020, job: "farm-3f9a", layer: "confidence", opacity: 0.6, swipe: "on" as const, panel: "maps" as const };
    const { camera, year, job, layer, opacity, swipe, panel } = fromHash(toHash(view));
    expect({ camera, year, job, layer, opacity, swipe, panel }).toEqual({ camera: [31.0712, -17.84, 11.3], year: 2020, job: "farm-3f9a", layer: "confidence", opacity: 0.6, swipe: "on", panel: "maps" });
  });

  it("says nothing of what it does not hold", () => {
    expect(fromHash("#at=200000,1,1&year=x&opacity=7&panel=no")).toEqual({});
  });
});
