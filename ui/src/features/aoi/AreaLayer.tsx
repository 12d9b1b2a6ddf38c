import type { GeoJSONSource, Map as MapLibre } from "maplibre-gl";
import { useEffect } from "react";
import type { Area } from "@/area/geometry";
import { SLOTS } from "@/map/basemap";
import { useMap } from "@/map/context";
import { paddingOf } from "@/map/padding";
import { useView } from "@/view/store";
import { boundsToFit, useAreaState } from "./state";

const SOURCE = "area";
const EMPTY: Area = { type: "MultiPolygon", coordinates: [] };

/** The area on the map, while it is not being changed. */
export function AreaLayer() {
  const map = useMap();
  const area = useView((view) => view.area);
  const editing = useView((view) => view.tool === "edit");
  const fit = useAreaState((state) => state.fit);
  useEffect(() => {
    if (map === null) return;
    addLayers(map);
    void map.getSource<GeoJSONSource>(SOURCE)?.setData(editing ? EMPTY : (area ?? EMPTY));
  }, [map, area, editing]);
  useEffect(() => {
    if (map === null || fit === null) return;
    map.fitBounds(boundsToFit(fit), { padding: paddingOf(), maxZoom: 16, duration: 500 });
    useAreaState.setState({ fit: null });
  }, [map, fit]);
  return null;
}

function addLayers(map: MapLibre): void {
  if (map.getSource(SOURCE)) return;
  map.addSource(SOURCE, { type: "geojson", data: EMPTY });
  const line = { type: "line", source: SOURCE, layout: { "line-join": "round" } } as const;
  map.addLayer({ ...line, id: "area-casing", paint: { "line-color": "#ffffff", "line-width": 5, "line-opacity": 0.9 } }, SLOTS.areas);
  map.addLayer({ ...line, id: "area-line", paint: { "line-color": "#16211a", "line-width": 2.2 } }, SLOTS.areas);
}
