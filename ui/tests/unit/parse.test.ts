import { describe, expect, it } from "vitest";
import { AreaError, parseArea } from "@/area/parse";

const SQUARE = [[31, -17], [32, -17], [32, -16], [31, -17]];

describe("pasted areas", () => {
  it("may be GeoJSON of any kind that holds polygons", () => {
    const polygon = { type: "Polygon", coordinates: [SQUARE] };
    const feature = { type: "Feature", properties: {}, geometry: polygon };
    for (const document of [polygon, feature, { type: "FeatureCollection", features: [feature] }]) {
      expect(parseArea(JSON.stringify(document))).toEqual(polygon);
    }
  });

  it("may be WKT", () => {
    expect(parseArea("POLYGON ((31 -17, 32 -17, 32 -16, 31 -17))")).toEqual({ type: "Polygon", coordinates: [SQUARE] });
    expect(parseArea("MULTIPOLYGON Z (((31 -17 5, 32 -17 5, 32 -16 5, 31 -17 5)))").type).toBe("Polygon");
  });

  it("may be positions, longitude first, or with the sides named", () => {
    expect(parseArea("31, -17\n32, -17\n32, -16")).toEqual({ type: "Polygon", coordinates: [SQUARE] });
    expect(parseArea("17°S 31°E; 17 S 32 E; 16 S 32 E")).toEqual({ type: "Polygon", coordinates: [SQUARE] });
  });

  it.each([
    ["", "empty"],
    ["{", "not-json"],
    ['{"type":"Point","coordinates":[1,2]}', "no-area"],
    ["31, -17\n32, -17", "three-needed"],
    ["31, -17\nhello\n3,4", "bad-position"],
    ["31, -117\n32, 5\n3,4", "bad-position"],
  ])("are refused with the reason: %j is %s", (text, refusal) => {
    expect(() => parseArea(text)).toThrow(AreaError);
    expect(() => parseArea(text)).toThrow(refusal);
  });
});
