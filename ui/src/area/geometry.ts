import type { MultiPolygon, Polygon, Position } from "geojson";

/** An area on the map: lon/lat WGS84. */
export type Area = Polygon | MultiPolygon;

const DEGREE = Math.PI / 180;
const SEMI_MAJOR_M = 6_378_137;
const E2 = 0.00669437999014131;
const E = Math.sqrt(E2);

/** The rings of each polygon of an area. */
export function polygonsOf(area: Area): Position[][][] {
  return area.type === "Polygon" ? [area.coordinates] : area.coordinates;
}

/** Hectares on the WGS84 ellipsoid; edges are straight in lon/lat, as GeoJSON says. */
export function hectaresOf(area: Area): number {
  const polygons = polygonsOf(area).map(([outer = [], ...holes]) => {
    const inner = holes.reduce((sum, hole) => sum + ringM2(hole), 0);
    return ringM2(outer) - inner;
  });
  return polygons.reduce((sum, one) => sum + one, 0) / 10_000;
}

/** west, south, east, north in degrees. */
export function boundsOf(area: Area): [number, number, number, number] {
  const bounds: [number, number, number, number] = [Infinity, Infinity, -Infinity, -Infinity];
  for (const [lon = 0, lat = 0] of polygonsOf(area).flat(2)) {
    bounds[0] = Math.min(bounds[0], lon);
    bounds[1] = Math.min(bounds[1], lat);
    bounds[2] = Math.max(bounds[2], lon);
    bounds[3] = Math.max(bounds[3], lat);
  }
  return bounds;
}

/** Positions, the closing one of each ring not counted. */
export function vertexCount(area: Area): number {
  return polygonsOf(area).flat().reduce((sum, ring) => sum + Math.max(0, ring.length - 1), 0);
}

export function isInside(area: Area, lon: number, lat: number): boolean {
  return polygonsOf(area).some(([outer = [], ...holes]) => {
    return ringHolds(outer, lon, lat) && !holes.some((hole) => ringHolds(hole, lon, lat));
  });
}

function ringHolds(ring: Position[], lon: number, lat: number): boolean {
  let inside = false;
  for (let i = 0, j = ring.length - 1; i < ring.length; j = i++) {
    const [x = 0, y = 0] = ring[i] ?? [];
    const [px = 0, py = 0] = ring[j] ?? [];
    if (y > lat !== py > lat && lon < ((px - x) * (lat - y)) / (py - y) + x) inside = !inside;
  }
  return inside;
}

/** Square metres: the integral of the authalic function over longitude, by Simpson's rule on short pieces. */
function ringM2(ring: Position[]): number {
  let sum = 0;
  for (let i = 1; i < ring.length; i++) sum += edgeIntegral(ring[i - 1] ?? [], ring[i] ?? []);
  return Math.abs((sum * SEMI_MAJOR_M ** 2) / 2);
}

function edgeIntegral([lon = 0, lat = 0]: Position, [nextLon = 0, nextLat = 0]: Position): number {
  const pieces = Math.max(1, Math.ceil(Math.abs(nextLat - lat) / 0.5));
  const step = (nextLat - lat) / pieces;
  let sum = 0;
  for (let i = 0; i < pieces; i++) {
    const south = lat + i * step;
    sum += (authalic(south) + 4 * authalic(south + step / 2) + authalic(south + step)) / 6;
  }
  return ((nextLon - lon) * DEGREE * sum) / pieces;
}

/** Snyder's q: the area between equator and parallel is pi a^2 q. */
function authalic(lat: number): number {
  const sine = Math.sin(lat * DEGREE);
  return (1 - E2) * (sine / (1 - E2 * sine ** 2) + Math.atanh(E * sine) / E);
}
