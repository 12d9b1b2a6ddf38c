import type { Position } from "geojson";
import { polygonsOf, type Area } from "@/area/geometry";

const PRECISION = 1e6;
const ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/** An area in letters that a URL holds as they are: rings of differences of micro-degrees, in base 32 with a carry bit. */
export function encodeArea(area: Area): string {
  return polygonsOf(area).map((rings) => rings.map(encodeRing).join(".")).join("~");
}

/** The area of such letters; undefined when they are none. */
export function decodeArea(text: string): Area | undefined {
  try {
    const polygons = text.split("~").map((polygon) => polygon.split(".").map(decodeRing));
    const [only] = polygons;
    return polygons.length === 1 && only !== undefined
      ? { type: "Polygon", coordinates: only }
      : { type: "MultiPolygon", coordinates: polygons };
  } catch {
    return undefined;
  }
}

function encodeRing(ring: Position[]): string {
  let [x, y] = [0, 0];
  return ring.slice(0, -1).map(([lon = 0, lat = 0]) => {
    const [nextX, nextY] = [Math.round(lon * PRECISION), Math.round(lat * PRECISION)];
    const text = encodeNumber(nextX - x) + encodeNumber(nextY - y);
    [x, y] = [nextX, nextY];
    return text;
  }).join("");
}

function encodeNumber(value: number): string {
  let rest = value < 0 ? -value * 2 - 1 : value * 2;
  let text = "";
  do {
    const digit = rest % 32;
    rest = Math.floor(rest / 32);
    text += ALPHABET.charAt(digit + (rest > 0 ? 32 : 0));
  } while (rest > 0);
  return text;
}

function decodeRing(text: string): Position[] {
  const numbers = decodeNumbers(text);
  if (numbers.length < 6 || numbers.length % 2 !== 0) throw new RangeError("not a ring");
  const ring: Position[] = [];
  let [x, y] = [0, 0];
  for (let i = 0; i < numbers.length; i += 2) {
    x += numbers[i] as number;
    y += numbers[i + 1] as number;
    if (Math.abs(x) > 360 * PRECISION || Math.abs(y) > 90 * PRECISION) throw new RangeError("off the globe");
    ring.push([x / PRECISION, y / PRECISION]);
  }
  return [...ring, ring[0] as Position];
}

function decodeNumbers(text: string): number[] {
  const numbers: number[] = [];
  let [value, weight] = [0, 1];
  for (const letter of text) {
    const digit = ALPHABET.indexOf(letter);
    if (digit < 0 || weight > 2 ** 40) throw new RangeError("not a number");
    value += (digit % 32) * weight;
    weight *= 32;
    if (digit < 32) {
      numbers.push(value % 2 === 1 ? -(value + 1) / 2 : value / 2);
      [value, weight] = [0, 1];
    }
  }
  if (weight !== 1) throw new RangeError("cut off");
  return numbers;
}
