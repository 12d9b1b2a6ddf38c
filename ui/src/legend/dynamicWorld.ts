/** A class of a map: six hex digits without `#`. */
export interface MapClass {
  readonly code: number;
  readonly name: string;
  readonly colour: string;
}

/** Dynamic World V1 with its own colours (Brown et al. 2022, doi:10.1038/s41597-022-01307-4). */
export const DYNAMIC_WORLD: readonly MapClass[] = [
  { code: 0, name: "water", colour: "419bdf" },
  { code: 1, name: "trees", colour: "397d49" },
  { code: 2, name: "grass", colour: "88b053" },
  { code: 3, name: "flooded vegetation", colour: "7a87c6" },
  { code: 4, name: "crops", colour: "e49635" },
  { code: 5, name: "shrub and scrub", colour: "dfc35a" },
  { code: 6, name: "built", colour: "c4281b" },
  { code: 7, name: "bare", colour: "a59b8f" },
  { code: 8, name: "snow and ice", colour: "b39fe1" },
];

/** The same classes apart in lightness too, after Okabe and Ito, so that every kind of colour vision tells them apart. */
const SAFE: readonly string[] = [
  "0072b2", "00543c", "6fbf97", "a98fc9", "e69f00", "f0e442", "b3261e", "8c8c8c", "e8e6f2",
];

/** For other legends, by code modulo their number: distinct to every kind of colour vision (Okabe-Ito, Tol's muted). */
const SAFE_OTHERS: readonly string[] = [
  "e69f00", "b8d94a", "882255", "f7e08a", "44aa99", "0b5d3b", "0072b2", "d55e00", "9a9a9a", "cc79a7", "332288", "999933",
];

export type PaletteName = "official" | "safe";

/** Classes in the colours of a palette. */
export function inPalette(classes: readonly MapClass[], palette: PaletteName): readonly MapClass[] {
  if (palette === "official") return classes;
  const colours = isDynamicWorld(classes) ? SAFE : SAFE_OTHERS;
  return classes.map((one) => ({ ...one, colour: colours[one.code % colours.length] ?? one.colour }));
}

/** What TiTiler calls a palette, for the classes of a map. */
export function tilerPalette(classes: readonly MapClass[], palette: PaletteName): string {
  return palette === "official" ? "official" : isDynamicWorld(classes) ? "safe" : "distinct";
}

function isDynamicWorld(classes: readonly MapClass[]): boolean {
  return classes.every((one) => DYNAMIC_WORLD.some((known) => known.code === one.code && known.name === one.name));
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
