import { readBlock, type Cog, type Level } from "./cog";
import type { Lattice } from "./lattice";

/** Values (y, x) of a raster at every point of a lattice, nodata where it has none. Nearest neighbour. */
export async function sample(cog: Cog, lattice: Lattice): Promise<Uint8Array> {
  const places = placesOf(cog, lattice);
  const level = levelFor(cog, places);
  const blocks = await blocksFor(cog, level, places);
  return pick(cog, level, lattice, places, blocks);
}

/** The value at a point; undefined outside of the raster and where it has none. */
export async function valueAt(cog: Cog, lon: number, lat: number): Promise<number | undefined> {
  const [value] = await sample(cog, { lons: Float64Array.of(lon), lats: Float64Array.of(lat) });
  return value === cog.nodata ? undefined : value;
}

const STEP = 32;
/** Between points that are projected; those between are interpolated, wrong by far less than a pixel. */

interface Places {
  /** Columns and rows of full-resolution pixels at every STEP-th point of the lattice, row by row. */
  readonly cols: Float64Array;
  readonly rows: Float64Array;
  readonly across: number;
  readonly down: number;
}

function placesOf(cog: Cog, { lons, lats }: Lattice): Places {
  const across = Math.ceil((lons.length - 1) / STEP) + 1;
  const down = Math.ceil((lats.length - 1) / STEP) + 1;
  const cols = new Float64Array(across * down);
  const rows = new Float64Array(across * down);
  for (let j = 0; j < down; j++) {
    for (let i = 0; i < across; i++) {
      const [x, y] = cog.toPlane(extended(lons, i * STEP), extended(lats, j * STEP));
      cols[j * across + i] = (x - cog.left) / cog.resolution;
      rows[j * across + i] = (cog.top - y) / cog.resolution;
    }
  }
  return { cols, rows, across, down };
}

/** The value at an index, which may lie beyond the end. */
function extended(values: Float64Array, index: number): number {
  const last = values.length - 1;
  const end = values[Math.min(index, last)] ?? 0;
  return index <= last || last === 0 ? end : end + (index - last) * (end - (values[last - 1] ?? end));
}

/** The coarsest level that is not coarser than the lattice. */
function levelFor(cog: Cog, { cols, rows, across, down }: Places): Level {
  const right = Math.hypot((cols[1] ?? 0) - (cols[0] ?? 0), (rows[1] ?? 0) - (rows[0] ?? 0));
  const below = Math.hypot((cols[across] ?? 0) - (cols[0] ?? 0), (rows[across] ?? 0) - (rows[0] ?? 0));
  const step = Math.min(across > 1 ? right : Infinity, down > 1 ? below : Infinity) / STEP;
  const fitting = cog.levels.filter((level) => level.scale <= step * 1.25 && Number.isFinite(step));
  return (fitting.at(-1) ?? cog.levels[0]) as Level;
}

/** The blocks that the lattice touches, by row and column of blocks; those outside of the raster are left out. */
async function blocksFor(cog: Cog, level: Level, places: Places): Promise<ReadonlyMap<number, Uint8Array>> {
  const found = new Map<number, Uint8Array>();
  const [west, east] = blockSpan(places.cols, level, level.width);
  const [north, south] = blockSpan(places.rows, level, level.height);
  const reads: Promise<void>[] = [];
  for (let row = north; row <= south; row++) {
    for (let col = west; col <= east; col++) {
      reads.push(readBlock(cog, level, col, row).then((block) => void found.set(blockKey(col, row), block)));
    }
  }
  await Promise.all(reads);
  return found;
}

function blockSpan(places: Float64Array, level: Level, size: number): [number, number] {
  let [least, most] = [Infinity, -Infinity];
  for (const place of places) {
    least = Math.min(least, place);
    most = Math.max(most, place);
  }
  const [first, last] = [Math.floor(least / level.scale), Math.floor(most / level.scale)];
  if (!(last >= 0 && first < size)) return [0, -1];
  return [Math.floor(Math.max(0, first) / level.block), Math.floor(Math.min(size - 1, last) / level.block)];
}

function blockKey(col: number, row: number): number {
  return row * 65_536 + col;
}

function pick(cog: Cog, level: Level, lattice: Lattice, places: Places, blocks: ReadonlyMap<number, Uint8Array>): Uint8Array {
  const [width, height] = [lattice.lons.length, lattice.lats.length];
  const values = new Uint8Array(width * height).fill(cog.nodata);
  const cells = { across: Math.max(1, places.across - 1), down: Math.max(1, places.down - 1) };
  for (let j = 0; j < cells.down; j++) {
    for (let i = 0; i < cells.across; i++) {
      pickCell(values, width, height, level, corners(places, i, j), i, j, blocks);
    }
  }
  return values;
}

type Corners = readonly [number, number, number, number, number, number, number, number];

/** Columns and rows of the four corners of a cell: north-west, north-east, south-west, south-east. */
function corners({ cols, rows, across, down }: Places, i: number, j: number): Corners {
  const [k, right, below] = [j * across + i, across > 1 ? 1 : 0, down > 1 ? across : 0];
  const at = (values: Float64Array, index: number) => values[index] ?? 0;
  return [
    at(cols, k), at(rows, k), at(cols, k + right), at(rows, k + right),
    at(cols, k + below), at(rows, k + below), at(cols, k + below + right), at(rows, k + below + right),
  ];
}

function pickCell(
  values: Uint8Array, width: number, height: number, level: Level, c: Corners, i: number, j: number,
  blocks: ReadonlyMap<number, Uint8Array>,
): void {
  const { block, scale } = level;
  const [right, bottom] = [Math.min(width, (i + 1) * STEP), Math.min(height, (j + 1) * STEP)];
  for (let y = j * STEP; y < bottom; y++) {
    const v = (y - j * STEP) / STEP;
    const [leftCol, leftRow] = [c[0] + (c[4] - c[0]) * v, c[1] + (c[5] - c[1]) * v];
    const stepCol = (c[2] + (c[6] - c[2]) * v - leftCol) / STEP;
    const stepRow = (c[3] + (c[7] - c[3]) * v - leftRow) / STEP;
    for (let x = i * STEP; x < right; x++) {
      const col = Math.floor((leftCol + stepCol * (x - i * STEP)) / scale);
      const row = Math.floor((leftRow + stepRow * (x - i * STEP)) / scale);
      if (col < 0 || row < 0 || col >= level.width || row >= level.height) continue;
      const found = blocks.get(blockKey(Math.floor(col / block), Math.floor(row / block)));
      if (found !== undefined) values[y * width + x] = found[(row % block) * block + (col % block)] ?? 0;
    }
  }
}
