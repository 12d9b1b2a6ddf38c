import type { Position } from "geojson";
import type { Area } from "./geometry";

/** Why a text is not an area. */
export type Refusal = "empty" | "not-json" | "no-area" | "bad-position" | "three-needed";

export class AreaError extends Error {
  constructor(readonly refusal: Refusal, readonly detail = "") {
    super(`${refusal} ${detail}`.trim());
  }
}

/** The area of pasted or dropped text: GeoJSON, WKT, or a position (lon, lat, or with N, S, E, W) on each line. */
export function parseArea(text: string): Area {
  const trimmed = text.trim();
  if (trimmed === "") throw new AreaError("empty");
  if (trimmed.startsWith("{")) return fromGeoJson(json(trimmed));
  if (/^(multi)?polygon/i.test(trimmed)) return fromWkt(trimmed);
  return fromLines(trimmed);
}

function json(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch (error) {
    throw new AreaError("not-json", error instanceof Error ? error.message : "");
  }
}

/** The polygons of any GeoJSON object, as one area. */
export function fromGeoJson(document: unknown): Area {
  const polygons = [...polygonsIn(document, 0)];
  const [only] = polygons;
  if (only === undefined) throw new AreaError("no-area");
  return polygons.length === 1 ? { type: "Polygon", coordinates: only } : { type: "MultiPolygon", coordinates: polygons };
}

function* polygonsIn(node: unknown, depth: number): Generator<Position[][]> {
  if (!isRecord(node) || depth > 16) return;
  if (node["type"] === "Polygon") yield rings(node["coordinates"]);
  else if (node["type"] === "MultiPolygon") yield* list(node["coordinates"]).map(rings);
  else if (node["type"] === "Feature") yield* polygonsIn(node["geometry"], depth + 1);
  else for (const member of list(node["features"] ?? node["geometries"] ?? [])) yield* polygonsIn(member, depth + 1);
}

function rings(value: unknown): Position[][] {
  return list(value).map((ring) => closed(list(ring).map(position)));
}

function list(value: unknown): unknown[] {
  if (!Array.isArray(value)) throw new AreaError("no-area");
  return value as unknown[];
}

function position(value: unknown): Position {
  const [lon, lat] = list(value);
  if (typeof lon !== "number" || typeof lat !== "number" || !onGlobe(lon, lat)) {
    throw new AreaError("bad-position", JSON.stringify(value).slice(0, 60));
  }
  return [lon, lat];
}

function onGlobe(lon: number, lat: number): boolean {
  return Math.abs(lon) <= 360 && Math.abs(lat) <= 90;
}

function closed(ring: Position[]): Position[] {
  const [first, last] = [ring[0], ring.at(-1)];
  if (first === undefined || last === undefined || ring.length < 3) throw new AreaError("three-needed");
  const same = first[0] === last[0] && first[1] === last[1];
  if (same && ring.length < 4) throw new AreaError("three-needed");
  return same ? ring : [...ring, first];
}

function fromWkt(text: string): Area {
  const body = text.replace(/^[a-z\s]+/i, "").replace(/\(/g, "[").replace(/\)/g, "]");
  const spelt = body.replace(/(-?[\d.]+(?:e-?\d+)?)\s+(-?[\d.]+(?:e-?\d+)?)(?:\s+-?[\d.]+)*/gi, "[$1,$2]");
  const type = /^multi/i.test(text) ? "MultiPolygon" : "Polygon";
  return fromGeoJson({ type, coordinates: json(spelt) });
}

function fromLines(text: string): Area {
  const lines = text.split(/[\n;]+/).map((line) => line.trim()).filter(Boolean);
  return { type: "Polygon", coordinates: [closed(lines.map(positionOf))] };
}

function positionOf(line: string): Position {
  const parts = [...line.matchAll(/(-?\d+(?:\.\d+)?)\s*°?\s*([NSEW])?/gi)];
  const [first, second] = parts.map(([, digits, side]) => ({ value: signed(digits, side), side: side?.toUpperCase() ?? "" }));
  if (first === undefined || second === undefined || parts.length !== 2) throw new AreaError("bad-position", line.slice(0, 60));
  const latitudeFirst = "NS".includes(first.side) && first.side !== "";
  const [lon, lat] = latitudeFirst ? [second.value, first.value] : [first.value, second.value];
  if (!onGlobe(lon, lat)) throw new AreaError("bad-position", line.slice(0, 60));
  return [lon, lat];
}

function signed(digits = "", side = ""): number {
  return Number(digits) * (/[sw]/i.test(side) ? -1 : 1);
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null;
}
