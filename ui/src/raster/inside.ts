import type { Lattice } from "./lattice";

/** Closed rings of lon, lat; what lies in an odd number of them is inside, so that holes are rings too. */
export type Rings = readonly (readonly (readonly number[])[])[];

/** Whether the point of an index (row by row) of a lattice lies inside of rings. */
export function isWithin({ lons, lats }: Lattice, rings: Rings): (value: unknown, index: number) => boolean {
  const mask = new Uint8Array(lons.length * lats.length);
  lats.forEach((lat, row) => {
    const crossed = crossings(rings, lat);
    lons.forEach((lon, col) => {
      const before = crossed.filter((at) => at <= lon).length;
      mask[row * lons.length + col] = before % 2;
    });
  });
  return (_, index) => mask[index] === 1;
}

/** Longitudes at which edges cross a parallel; an edge holds its lower end and not its upper one. */
function crossings(rings: Rings, lat: number): number[] {
  const found: number[] = [];
  for (const ring of rings) {
    for (let i = 1; i < ring.length; i++) {
      const [x0 = 0, y0 = 0] = ring[i - 1] ?? [];
      const [x1 = 0, y1 = 0] = ring[i] ?? [];
      if (y0 > lat !== y1 > lat) found.push(x0 + ((lat - y0) / (y1 - y0)) * (x1 - x0));
    }
  }
  return found;
}
