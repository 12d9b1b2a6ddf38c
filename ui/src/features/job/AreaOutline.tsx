import type { GeoJSONSource, Map as MapLibre } from "maplibre-gl";
import { useEffect } from "react";
import type { Area } from "@/area/geometry";
import { useJob } from "@/job/store";
import { SLOTS } from "@/map/basemap";
import { useMap } from "@/map/context";

const SOURCE = "job-area";
const EMPTY: Area = { type: "MultiPolygon", coordinates: [] };

/** The area of the job that is looked at. */
export function AreaOutline() {
  const map = useMap();
  const area = useJob((state) => state.area);
  useEffect(() => {
    if (map === null) return;
    addLayers(map);
    void map.getSource<GeoJSONSource>(SOURCE)?.setData(area ?? EMPTY);
  }, [map, area]);
  return null;
}

function addLayers(map: MapLibre): void {
  if (map.getSource(SOURCE)) return;
  map.addSource(SOURCE, { type: "geojson", data: EMPTY });
  const line = { type: "line", source: SOURCE, layout: { "line-join": "round" } } as const;
  map.addLayer({ ...line, id: "job-area-casing", paint: { "line-color": "#ffffff", "line-width": 4, "line-opacity": 0.9 } }, SLOTS.areas);
  map.addLayer({ ...line, id: "job-area-line", paint: { "line-color": "#16211a", "line-width": 1.6 } }, SLOTS.areas);
}
