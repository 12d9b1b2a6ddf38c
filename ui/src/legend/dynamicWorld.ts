import { strings } from "@/strings";

/** A class of a map: six hex digits without `#`. */
export interface MapClass {
  readonly code: number;
  readonly name: string;
  readonly colour: string;
  /** Apart in lightness too (after Okabe and Ito), so that every kind of colour vision tells classes apart. */
  readonly safe_colour?: string;
}

/** Dynamic World V1 with its own colours (Brown et al. 2022, doi:10.1038/s41597-022-01307-4). */
export const DYNAMIC_WORLD: readonly MapClass[] = [
  { code: 0, name: strings.baselines.covers[0], colour: "419bdf", safe_colour: "0072b2" },
  { code: 1, name: strings.baselines.covers[1], colour: "397d49", safe_colour: "00543c" },
  { code: 2, name: strings.baselines.covers[2], colour: "88b053", safe_colour: "6fbf97" },
  { code: 3, name: strings.baselines.covers[3], colour: "7a87c6", safe_colour: "a98fc9" },
  { code: 4, name: strings.baselines.covers[4], colour: "e49635", safe_colour: "e69f00" },
  { code: 5, name: strings.baselines.covers[5], colour: "dfc35a", safe_colour: "f0e442" },
  { code: 6, name: strings.baselines.covers[6], colour: "c4281b", safe_colour: "b3261e" },
  { code: 7, name: strings.baselines.covers[7], colour: "a59b8f", safe_colour: "8c8c8c" },
  { code: 8, name: strings.baselines.covers[8], colour: "b39fe1", safe_colour: "e8e6f2" },
];

export type PaletteName = "official" | "safe";

/** Classes in the colours of a palette. */
export function inPalette<T extends MapClass>(classes: readonly T[], palette: PaletteName): readonly T[] {
  return palette === "official" ? classes : classes.map((one) => ({ ...one, colour: one.safe_colour ?? one.colour }));
}

/** 256 little-endian RGBA words: each class in its colour, all other values transparent. */
export function paletteOf(classes: readonly MapClass[]): Uint32Array {
  const words = new Uint32Array(256);
  for (const { code, colour } of classes) words[code] = wordOf(colour);
  return words;
}

/** A colour of six hex digits as a little-endian RGBA word. */
export function wordOf(colour: string, alpha = 255): number {
  const value = Number.parseInt(colour, 16);
  const [red, green, blue] = [(value >> 16) & 255, (value >> 8) & 255, value & 255];
  return ((alpha << 24) | (blue << 16) | (green << 8) | red) >>> 0;
}

/** Shades of a ramp over the values 0 to `most`, as a palette; values beyond are transparent. */
export function rampPalette(ramp: readonly string[], most: number): Uint32Array {
  const words = new Uint32Array(256);
  for (let value = 0; value <= most; value++) words[value] = wordOf(shade(ramp, value / most));
  return words;
}

function shade(ramp: readonly string[], share: number): string {
  const place = share * (ramp.length - 1);
  const low = Math.min(Math.floor(place), ramp.length - 2);
  const [first = "000000", second = "000000"] = [ramp[low], ramp[low + 1]];
  const mix = (at: number) => {
    const [a, b] = [Number.parseInt(first.slice(at, at + 2), 16), Number.parseInt(second.slice(at, at + 2), 16)];
    return Math.round(a + (b - a) * (place - low)).toString(16).padStart(2, "0");
  };
  return mix(0) + mix(2) + mix(4);
}
