import { describe, expect, it } from "vitest";
import { changesOf, meaningOf } from "@/features/compare/changes";
import { parseLog } from "@/features/job/parseLog";

describe("a log", () => {
  it("is told line by line, its end only, and what is no JSON as it is", () => {
    const many = Array.from({ length: 300 }, (_, i) => JSON.stringify({ time: "2026-01-01T10:00:00Z", level: "info", event: `e${i}`, fields: { n: i } }));
    const lines = parseLog([...many, "Killed"].join("\n"));
    expect(lines).toHaveLength(200);
    expect(lines.at(-1)?.text).toBe("Killed");
    expect(lines.at(-2)?.text).toBe("10:00:00 e299 n=299");
  });
});

describe("a comparison", () => {
  it("goes by what classes are called, whatever their codes are", () => {
    const meaning = meaningOf([{ code: 1, name: "maize" }, { code: 2, name: "forest" }], [{ code: 7, name: "maize" }, { code: 1, name: "wheat" }]);
    expect([meaning[7], meaning[1], meaning[0]]).toEqual([1, 255, 255]);
  });

  it("gives what changed by area, the largest first, and the share that stayed", () => {
    const classes = [{ code: 1, name: "maize" }, { code: 2, name: "forest" }].map((one) => ({ ...one, colour: "000000", safe_colour: "000000", hectares: 0, share: 0 }));
    const counts = new Uint32Array(65_536);
    counts[1 * 256 + 1] = 6;
    counts[1 * 256 + 2] = 1;
    counts[2 * 256 + 1] = 3;
    const { same, changes } = changesOf({ counts, total: 100 }, classes, classes, 1_000);
    expect(same).toBeCloseTo(0.6);
    expect(changes.map(({ from, to, hectares }) => [from.name, to.name, hectares])).toEqual([["forest", "maize", 30], ["maize", "forest", 10]]);
  });
});
