/** Where a raster is sampled: the product of longitudes (columns) and latitudes (rows), in degrees. */
export interface Lattice {
  readonly lons: Float64Array;
  readonly lats: Float64Array;
}

/** west, south, east, north in degrees. */
export type Bounds = readonly [number, number, number, number];

const DEGREE = Math.PI / 180;
const EARTH_RADIUS_M = 6_371_007.181;
/** Authalic: the sphere with the area of WGS84. */

/** The pixel centres of a web mercator tile. */
export function tileLattice(z: number, x: number, y: number, size: number): Lattice {
  const world = 2 ** z * size;
  return {
    lons: Float64Array.from({ length: size }, (_, i) => ((x * size + i + 0.5) / world) * 360 - 180),
    lats: Float64Array.from({ length: size }, (_, j) => latitude((y * size + j + 0.5) / world)),
  };
}

/** Points of which each stands for the same area of ground: even in longitude and in the sine of latitude. */
export function equalAreaLattice([west, south, east, north]: Bounds, width: number, height: number): Lattice {
  const bottom = Math.sin(south * DEGREE);
  const top = Math.sin(north * DEGREE);
  return {
    lons: Float64Array.from({ length: width }, (_, i) => west + ((i + 0.5) / width) * (east - west)),
    lats: Float64Array.from({ length: height }, (_, j) => Math.asin(top - ((j + 0.5) / height) * (top - bottom)) / DEGREE),
  };
}

/** Hectares between meridians and parallels. */
export function boundsHectares([west, south, east, north]: Bounds): number {
  const band = Math.sin(north * DEGREE) - Math.sin(south * DEGREE);
  return (EARTH_RADIUS_M ** 2 * (east - west) * DEGREE * band) / 10_000;
}

/** Of a share of the mercator square, from the north. */
function latitude(share: number): number {
  return Math.atan(Math.sinh(Math.PI * (1 - 2 * share))) / DEGREE;
}
