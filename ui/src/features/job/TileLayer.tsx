import type { ExpressionSpecification, GeoJSONSource, Map as MapLibre } from "maplibre-gl";
import { useEffect } from "react";
import type { Schemas } from "@/api/client";
import { isPublished, stateOf } from "@/job/follow";
import { asHeard, useJob } from "@/job/store";
import { SLOTS } from "@/map/basemap";
import { useMap } from "@/map/context";
import { paddingOf } from "@/map/padding";
import { useView } from "@/view/store";

const SOURCE = "tiles";
const EMPTY = { type: "FeatureCollection" as const, features: [] };
const COLOURS: ExpressionSpecification = [
  "match", ["coalesce", ["feature-state", "shown"], "queued"],
  "running", "#e8b14c", "succeeded", "#2f8f5b", "empty", "#7a5ea8", "failed", "#c4281b", "#7d8579",
];

/** The job's tiles on the map; a tile that moves on is a change of state of one feature, not of the source. */
export function TileLayer() {
  const map = useMap();
  const job = useJob((state) => state.job);
  const tiles = useJob((state) => state.tiles);
  const hidden = job !== null && isPublished(job.phase);
  useEffect(() => {
    if (map === null) return;
    addLayers(map);
    void map.getSource<GeoJSONSource>(SOURCE)?.setData(tiles === null ? EMPTY : shownOf(tiles, hidden));
    for (const { properties } of tiles?.features ?? []) map.setFeatureState({ source: SOURCE, id: properties.tile }, { shown: stateOf(asHeard(properties)) });
  }, [map, tiles, hidden]);
  useEffect(() => {
    if (map === null) return undefined;
    return useJob.subscribe(({ fresh }, before) => {
      if (fresh !== before.fresh) for (const tile of fresh) map.setFeatureState({ source: SOURCE, id: tile.tile }, { shown: stateOf(tile) });
    });
  }, [map]);
  useJobCamera(map, job);
  return null;
}

/** An address that holds a job and no camera shows where the job is. */
function useJobCamera(map: MapLibre | null, job: Schemas["JobView"] | null): void {
  const bbox = job?.bbox ?? null;
  useEffect(() => {
    if (map === null || bbox === null || useView.getState().camera !== null) return;
    const [west = 0, south = 0, east = 0, north = 0] = bbox;
    map.fitBounds([west, south, east, north], { duration: 0, padding: paddingOf(0) });
  }, [map, bbox]);
}

/** Once there is a map, only tiles that it lacks. */
function shownOf({ features }: Schemas["TileCollection"], published: boolean): GeoJSON.FeatureCollection {
  const shown = published ? features.filter(({ properties }) => stateOf(asHeard(properties)) !== "succeeded") : features;
  return { type: "FeatureCollection", features: shown as unknown as GeoJSON.Feature[] };
}

function addLayers(map: MapLibre): void {
  if (map.getSource(SOURCE)) return;
  map.addSource(SOURCE, { type: "geojson", data: EMPTY, promoteId: "tile" });
  map.addLayer({ id: "tiles-fill", type: "fill", source: SOURCE, paint: { "fill-color": COLOURS, "fill-opacity": 0.42 } }, SLOTS.outlines);
  // In one colour: MapLibre paints anew whatever depends on a state, and only the fill has to.
  map.addLayer({ id: "tiles-line", type: "line", source: SOURCE, paint: { "line-color": "#16211a", "line-opacity": 0.5, "line-width": 1 } }, SLOTS.outlines);
}
