import type { MultiLineString, Position } from "geojson";
import type { GeoJSONSource, Map as MapLibre } from "maplibre-gl";

const STEPS = [30, 10, 5, 2, 1, 0.5, 0.2, 0.1, 0.05, 0.02, 0.01] as const;
const LINES_ACROSS = 6;

/** Keeps a graticule under the view, its step fit for the zoom. Returns what takes it away again. */
export function followGraticule(map: MapLibre): () => void {
  const draw = () => {
    const { _sw: southWest, _ne: northEast } = map.getBounds();
    const lines = graticule(southWest.lng, southWest.lat, northEast.lng, northEast.lat);
    void map.getSource<GeoJSONSource>("graticule")?.setData(lines);
  };
  draw();
  map.on("moveend", draw);
  return () => void map.off("moveend", draw);
}

/** Meridians and parallels over some bounds, and a little beyond. */
export function graticule(west: number, south: number, east: number, north: number): MultiLineString {
  const step = stepFor(east - west);
  const [left, right] = [Math.floor(west / step) - 1, Math.ceil(east / step) + 1];
  const [bottom, top] = [Math.max(-85, south - step), Math.min(85, north + step)];
  const lines: Position[][] = [];
  for (let i = left; i <= right; i++) lines.push([[i * step, bottom], [i * step, top]]);
  for (let j = Math.ceil(bottom / step); j <= Math.floor(top / step); j++) lines.push([[left * step, j * step], [right * step, j * step]]);
  return { type: "MultiLineString", coordinates: lines };
}

/** Degrees between lines: the largest step that puts enough of them across. */
export function stepFor(width: number): number {
  return STEPS.find((step) => width / step >= LINES_ACROSS) ?? STEPS[STEPS.length - 1] ?? 1;
}
