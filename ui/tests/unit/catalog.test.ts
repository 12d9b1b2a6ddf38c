import { describe, expect, it } from "vitest";
import { parseBaselines } from "@/baseline/catalog";

describe("baselines.json", () => {
  it("gives years with absolute addresses, braces kept", () => {
    const [one] = parseBaselines({ baselines: [{ year: 2015, partial_from: "2015-06-27", bounds: [1, 2, 3, 4], cog: "./a/2015.tif", tiles: ["./t/{z}/{x}/{y}"] }] }, "http://h/p/");
    expect(one).toEqual({ year: 2015, partialFrom: "2015-06-27", bounds: [1, 2, 3, 4], cog: "http://h/p/a/2015.tif", tiles: ["http://h/p/t/{z}/{x}/{y}"] });
  });

  it("is read from the API's list too, tiles in their TileJSON", () => {
    const found = parseBaselines([{ year: 2020, bounds: [1, 2, 3, 4], tilejson: { tiles: ["http://t/{z}/{x}/{y}"] } }], "http://h/");
    expect(found[0]).toMatchObject({ year: 2020, cog: null, tiles: ["http://t/{z}/{x}/{y}"] });
  });

  it("leaves out what is no baseline", () => {
    expect(parseBaselines({ baselines: [null, 3, { year: "x" }, { year: 2020, bounds: [1], cog: "a" }, { year: 2020, bounds: [1, 2, 3, 4] }] }, "http://h/")).toEqual([]);
    expect(parseBaselines("no", "http://h/")).toEqual([]);
  });
});
