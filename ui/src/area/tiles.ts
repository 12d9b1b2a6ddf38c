import type { Position } from "geojson";
import { toPlane } from "@/raster/crs";
import { boundsOf, polygonsOf, type Area } from "./geometry";

/** Metres per side of a tile of the default grid: 1024 px of 10 m. */
const TILE_M = 10_240;
const EQUAL_AREA = 6_933;
const MOST_CELLS = 20_000;
const HAIR_M2 = 1;
const EDGE_STEP_DEG = 0.05;
type Point = readonly [number, number];

/** Tiles of the default grid that share area with an area; undefined where only the server can say. */
export function tileCount(area: Area): number | undefined {
  const epsg = gridCrsOf(area);
  if (epsg === undefined) return undefined;
  const project = toPlane(epsg);
  const rings = polygonsOf(area).flat().map((ring) => dense(ring).map(([lon = 0, lat = 0]) => project(lon, lat)));
  return countCells(rings);
}

/**
 * The CRS of the default grid: the UTM zone of the middle, where the area reaches no further than half a degree beyond
 * it, else equal area. Undefined over the antimeridian and near the poles, where only the server can say.
 */
export function gridCrsOf(area: Area): number | undefined {
  const [west, south, east, north] = boundsOf(area);
  if (west < -180 || east > 180 || south < -80 || north > 84) return undefined;
  const zone = Math.min(60, Math.floor(((west + east) / 2 + 180) / 6) + 1);
  const centre = zone * 6 - 183;
  if (east - centre > 3.5 || centre - west > 3.5) return EQUAL_AREA;
  return (south + north < 0 ? 32_700 : 32_600) + zone;
}

function dense(ring: Position[]): Position[] {
  return ring.flatMap((position, index) => {
    const next = ring[index + 1];
    return next === undefined ? [position] : between(position, next);
  });
}

function between([lon = 0, lat = 0]: Position, [nextLon = 0, nextLat = 0]: Position): Position[] {
  const steps = Math.max(1, Math.ceil(Math.hypot(nextLon - lon, nextLat - lat) / EDGE_STEP_DEG));
  return Array.from({ length: steps }, (_, i) => [lon + ((nextLon - lon) * i) / steps, lat + ((nextLat - lat) * i) / steps]);
}

function countCells(rings: readonly (readonly Point[])[]): number | undefined {
  const [left, right] = span(rings.flat().map(([x]) => x));
  const [bottom, top] = span(rings.flat().map(([, y]) => y));
  if ((right - left + 1) * (top - bottom + 1) > MOST_CELLS) return undefined;
  let cells = 0;
  for (let row = bottom; row <= top; row++) {
    const slab = rings.map((ring) => clip(ring, 1, row * TILE_M, (row + 1) * TILE_M));
    for (let col = left; col <= right; col++) {
      const area = slab.reduce((sum, ring) => sum + signedArea(clip(ring, 0, col * TILE_M, (col + 1) * TILE_M)), 0);
      if (Math.abs(area) > HAIR_M2) cells++;
    }
  }
  return cells;
}

function span(values: readonly number[]): [number, number] {
  const least = values.reduce((a, b) => Math.min(a, b), Infinity);
  const most = values.reduce((a, b) => Math.max(a, b), -Infinity);
  return [Math.floor(least / TILE_M), Math.floor(most / TILE_M)];
}

/** The part of a ring between two lines across an axis (Sutherland and Hodgman); holes keep their direction. */
function clip(ring: readonly Point[], axis: 0 | 1, low: number, high: number): Point[] {
  return clipSide(clipSide(ring, axis, low, 1), axis, high, -1);
}

function clipSide(ring: readonly Point[], axis: 0 | 1, line: number, sign: 1 | -1): Point[] {
  const kept: Point[] = [];
  ring.forEach((point, index) => {
    const before = ring[(index + ring.length - 1) % ring.length] as Point;
    const [isIn, wasIn] = [(point[axis] - line) * sign >= 0, (before[axis] - line) * sign >= 0];
    if (isIn !== wasIn) kept.push(crossing(before, point, axis, line));
    if (isIn) kept.push(point);
  });
  return kept;
}

function crossing(from: Point, to: Point, axis: 0 | 1, line: number): Point {
  const share = (line - from[axis]) / (to[axis] - from[axis]);
  return [from[0] + (to[0] - from[0]) * share, from[1] + (to[1] - from[1]) * share];
}

function signedArea(ring: readonly Point[]): number {
  const first = ring[0];
  if (first === undefined) return 0;
  return ring.reduce((sum, [x, y], index) => {
    const [nx, ny] = ring[(index + 1) % ring.length] as Point;
    return sum + ((x - first[0]) * (ny - first[1]) - (nx - first[0]) * (y - first[1])) / 2;
  }, 0);
}
