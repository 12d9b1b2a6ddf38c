import type { FeatureCollection, MultiPolygon, Polygon, Position } from "geojson";
import type { GeoJSONSource, Map as MapLibre } from "maplibre-gl";
import { feature, mesh } from "topojson-client";
import type { GeometryCollection, Topology } from "topojson-specification";
import { COUNTRIES_URL } from "./basemap";

type Countries = Topology<{ countries: GeometryCollection<{ name: string }>; land: GeometryCollection }>;

/** Water is shown with the land on it: until then all is ground, since a flash of blue would be worse. */
function showWater(map: MapLibre, signal: AbortSignal): void {
  const show = () => !signal.aborted && map.setLayoutProperty("water", "visibility", "visible");
  if (map.isSourceLoaded("land")) show();
  else map.once("idle", show);
}

/** Natural Earth's land, borders and names of countries (public domain), from a file that ships with the page. */
export async function addOutlines(map: MapLibre, signal: AbortSignal): Promise<void> {
  const response = await fetch(COUNTRIES_URL, { signal });
  const topology = (await response.json()) as Countries;
  if (signal.aborted) return;
  void source(map, "land")?.setData(feature(topology, topology.objects.land)).then(() => showWater(map, signal));
  void source(map, "borders")?.setData(mesh(topology, topology.objects.countries));
  void source(map, "names")?.setData(names(topology));
}

function source(map: MapLibre, id: string): GeoJSONSource | undefined {
  return map.getSource<GeoJSONSource>(id);
}

function names(topology: Countries): FeatureCollection {
  const countries = feature(topology, topology.objects.countries);
  const features = countries.features.flatMap(({ geometry, properties }) => {
    if (geometry.type !== "Polygon" && geometry.type !== "MultiPolygon") return [];
    const coordinates = middleOf(largestRing(geometry));
    return [{ type: "Feature" as const, properties, geometry: { type: "Point" as const, coordinates } }];
  });
  return { type: "FeatureCollection", features };
}

function largestRing(geometry: Polygon | MultiPolygon): Position[] {
  const polygons = geometry.type === "Polygon" ? [geometry.coordinates] : geometry.coordinates;
  const rings = polygons.map(([outer = []]) => outer);
  return rings.reduce((best, ring) => (Math.abs(momentsOf(ring)[0]) > Math.abs(momentsOf(best)[0]) ? ring : best), rings[0] ?? []);
}

/** The centroid of a ring on the plane of degrees. */
function middleOf(ring: Position[]): Position {
  const [area, x, y] = momentsOf(ring);
  return area === 0 ? (ring[0] ?? [0, 0]) : [x / (6 * area), y / (6 * area)];
}

function momentsOf(ring: Position[]): [number, number, number] {
  const moments: [number, number, number] = [0, 0, 0];
  for (let i = 1; i < ring.length; i++) {
    const [x0 = 0, y0 = 0] = ring[i - 1] ?? [];
    const [x1 = 0, y1 = 0] = ring[i] ?? [];
    const cross = x0 * y1 - x1 * y0;
    moments[0] += cross / 2;
    moments[1] += (x0 + x1) * cross;
    moments[2] += (y0 + y1) * cross;
  }
  return moments;
}
