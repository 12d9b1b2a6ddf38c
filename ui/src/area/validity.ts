import type { Position } from "geojson";
import { boundsOf, hectaresOf, polygonsOf, vertexCount, type Area } from "./geometry";

/** Why an area cannot be mapped. */
export type Fault =
  | { readonly kind: "too-small" }
  | { readonly kind: "too-large"; readonly km2: number; readonly limit: number }
  | { readonly kind: "too-many-vertices"; readonly count: number; readonly limit: number }
  | { readonly kind: "crosses-itself"; readonly at: Position }
  | { readonly kind: "off-the-globe" };

export interface Limits {
  readonly maxKm2: number;
  readonly maxVertices: number;
}

export const DEFAULT_LIMITS: Limits = { maxKm2: 50_000, maxVertices: 50_000 };
const LEAST_HECTARES = 0.01;
/** Rings with more are left to the server: the check here compares every edge with every other. */
const CHECKED_VERTICES = 2_000;

/** The first thing that is wrong with an area. */
export function faultOf(area: Area, limits: Limits = DEFAULT_LIMITS): Fault | undefined {
  const [west, south, east, north] = boundsOf(area);
  if (!(west >= -360 && east <= 360 && south >= -90 && north <= 90)) return { kind: "off-the-globe" };
  const count = vertexCount(area);
  if (count > limits.maxVertices) return { kind: "too-many-vertices", count, limit: limits.maxVertices };
  const at = polygonsOf(area).flat().map(selfCrossing).find(Boolean);
  if (at !== undefined) return { kind: "crosses-itself", at };
  const hectares = hectaresOf(area);
  if (hectares < LEAST_HECTARES) return { kind: "too-small" };
  return hectares / 100 > limits.maxKm2 ? { kind: "too-large", km2: hectares / 100, limit: limits.maxKm2 } : undefined;
}

/** Where two edges of a ring that are not neighbours meet. */
export function selfCrossing(ring: Position[]): Position | undefined {
  const last = ring.length - 1;
  if (last > CHECKED_VERTICES) return undefined;
  for (let i = 0; i < last; i++) {
    for (let j = i + 2; j < last; j++) {
      if (i === 0 && j === last - 1) continue;
      const at = meeting(ring[i] ?? [], ring[i + 1] ?? [], ring[j] ?? [], ring[j + 1] ?? []);
      if (at !== undefined) return at;
    }
  }
  return undefined;
}

function meeting(a: Position, b: Position, c: Position, d: Position): Position | undefined {
  const [ax = 0, ay = 0] = a;
  const [rx, ry] = [(b[0] ?? 0) - ax, (b[1] ?? 0) - ay];
  const [cx = 0, cy = 0] = c;
  const [sx, sy] = [(d[0] ?? 0) - cx, (d[1] ?? 0) - cy];
  const cross = rx * sy - ry * sx;
  if (cross === 0) return undefined;
  const t = ((cx - ax) * sy - (cy - ay) * sx) / cross;
  const u = ((cx - ax) * ry - (cy - ay) * rx) / cross;
  return t >= 0 && t <= 1 && u >= 0 && u <= 1 ? [ax + t * rx, ay + t * ry] : undefined;
}
