import type { Bounds } from "./lattice";
import type { Rings } from "./inside";

/**
 * What the raster worker can be asked for. `palette` holds 256 colours as little-endian RGBA words; `meaning` the values of
 * the first raster that mean what the 256 values of the other one do.
 */
export type Question =
  | { readonly kind: "open"; readonly href: string }
  | { readonly kind: "tile"; readonly href: string; readonly z: number; readonly x: number; readonly y: number; readonly palette: Uint32Array }
  | { readonly kind: "frame"; readonly href: string; readonly canvas: OffscreenCanvas; readonly lon: number; readonly lat: number; readonly zoom: number; readonly ratio: number; readonly palette: Uint32Array }
  | { readonly kind: "change-tile"; readonly href: string; readonly other: string; readonly z: number; readonly x: number; readonly y: number; readonly colour: number; readonly meaning: Uint8Array }
  | { readonly kind: "value"; readonly href: string; readonly lon: number; readonly lat: number }
  | { readonly kind: "counts"; readonly href: string; readonly bounds: Bounds; readonly rings?: Rings }
  | { readonly kind: "matrix"; readonly href: string; readonly other: string; readonly bounds: Bounds };

/** Points of the equal-area lattice by value, those within the rings where there are any; `total` is how many there were. */
export interface Counts {
  readonly byValue: readonly number[];
  readonly nodata: number;
  readonly total: number;
}

/** Points by value in the first raster (row) and in the other (column), 256 x 256; those with both values only. */
export interface Matrix {
  readonly counts: Uint32Array;
  readonly total: number;
}

export interface Answers {
  readonly open: null;
  readonly tile: ImageBitmap;
  /** How many of its pixels have data. */
  readonly frame: number;
  readonly "change-tile": ImageBitmap;
  readonly value: number | null;
  readonly counts: Counts;
  readonly matrix: Matrix;
}

export type Kind = Question["kind"];
export type Asked = { readonly id: number } & ({ readonly question: Question } | { readonly cancel: true });
export type Answered = { readonly id: number } & ({ readonly answer: Answers[Kind] } | { readonly error: string });
