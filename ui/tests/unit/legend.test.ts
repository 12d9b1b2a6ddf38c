import { describe, expect, it } from "vitest";
import { DYNAMIC_WORLD, inPalette, paletteOf, rampPalette, wordOf } from "@/legend/dynamicWorld";

function luminance(colour: string): number {
  const [r, g, b] = [0, 2, 4].map((at) => {
    const value = Number.parseInt(colour.slice(at, at + 2), 16) / 255;
    return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
  }) as [number, number, number];
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}

describe("palettes", () => {
  it("paint a class in its colour and everything else not at all", () => {
    const words = paletteOf(DYNAMIC_WORLD);
    const bytes = new Uint8Array(words.buffer);
    expect([...bytes.slice(0, 4)]).toEqual([0x41, 0x9b, 0xdf, 255]);
    expect(words[255]).toBe(0);
  });

  it("tell crops, trees, grass, water and built apart by lightness in the safe palette", () => {
    const safe = inPalette(DYNAMIC_WORLD, "safe");
    const sorted = ["trees", "built", "crops", "shrub and scrub"].map((name) => luminance(safe.find((one) => one.name === name)?.colour ?? "000000"));
    expect(sorted).toEqual(sorted.toSorted((a, b) => a - b));
    for (let i = 1; i < sorted.length; i++) expect((sorted[i] ?? 0) - (sorted[i - 1] ?? 0)).toBeGreaterThan(0.04);
  });

  it("run a ramp from its first to its last colour", () => {
    const words = rampPalette(["000000", "ffffff"], 100);
    expect([words[0], words[100], words[101]]).toEqual([wordOf("000000"), wordOf("ffffff"), 0]);
  });
});
