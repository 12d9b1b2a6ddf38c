/** Where a raster is sampled: the product of longitudes (columns) and latitudes (rows), in degrees. */
export interface Lattice {
  readonly lons: Float64Array;
  readonly lats: Float64Array;
}

/** west, south, east, north in degrees. */
export type Bounds = readonly [number, number, number, number];

const TILE_PX = 512;
const FINEST = 17;
/** Zoom of the finest tiles that the map asks for. */
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

/** What of the tiles' pixels a frame shows, as the map does: those of the next coarser zoom, enlarged. */
export interface Frame {
  readonly lattice: Lattice;
  /** Pixels of the frame per pixel of the lattice. */
  readonly scale: number;
  /** Where the first pixel of the lattice lies in the frame. */
  readonly left: number;
  readonly top: number;
}

/** The frame of a width and height around a place; zoom is that of tiles of 512 px. */
export function frameOf(lon: number, lat: number, zoom: number, width: number, height: number): Frame {
  const coarser = Math.min(FINEST, Math.floor(zoom));
  const world = TILE_PX * 2 ** coarser;
  const scale = 2 ** (zoom - coarser);
  const edge = (share: number, size: number) => (aligned(share * world * scale, size) - size / 2) / scale;
  const [west, north] = [edge((lon + 180) / 360, width), edge(shareOf(lat), height)];
  const [first, upper] = [Math.floor(west), Math.floor(north)];
  const lattice = {
    lons: Float64Array.from({ length: Math.ceil(west + width / scale) - first }, (_, i) => ((first + i + 0.5) / world) * 360 - 180),
    lats: Float64Array.from({ length: Math.ceil(north + height / scale) - upper }, (_, j) => latitude((upper + j + 0.5) / world)),
  };
  return { lattice, scale, left: (first - west) * scale, top: (upper - north) * scale };
}

/** The middle of a frame at rest, in pixels of the world: the map puts rasters onto whole pixels. */
function aligned(middle: number, size: number): number {
  const shift = middle - Math.round(middle) + (size % 2) / 2;
  return middle - (shift > 0.5 ? shift - 1 : shift);
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
export function latitude(share: number): number {
  return Math.atan(Math.sinh(Math.PI * (1 - 2 * share))) / DEGREE;
}

/** Of a latitude: its share of the mercator square, from the north. */
export function shareOf(lat: number): number {
  return 0.5 - Math.asinh(Math.tan(lat * DEGREE)) / (2 * Math.PI);
}
