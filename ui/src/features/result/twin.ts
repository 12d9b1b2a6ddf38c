import { Map as MapLibre } from "maplibre-gl";
import { GROUND } from "@/map/ground";
import { neverReduce } from "@/map/raster";
import { isResult } from "./shown";

/** A map that mirrors another, but for the published map over it. Returns what takes it away. */
export function startTwin(map: MapLibre, container: HTMLElement): () => void {
  const twin = new MapLibre({
    container,
    style: withoutResult(map),
    center: map.getCenter(),
    zoom: map.getZoom(),
    interactive: false,
    attributionControl: false,
    fadeDuration: 0,
  });
  const follow = () => twin.jumpTo({ center: map.getCenter(), zoom: map.getZoom() });
  const coarsen = () => Object.keys(twin.getStyle().sources).filter((id) => id !== GROUND).forEach((id) => neverReduce(twin, id));
  const restyle = () => twin.setStyle(withoutResult(map));
  twin.on("styledata", coarsen);
  map.on("move", follow);
  map.on("styledata", restyle);
  return () => {
    map.off("move", follow);
    map.off("styledata", restyle);
    twin.remove();
  };
}

function withoutResult(map: MapLibre) {
  const style = map.getStyle();
  return { ...style, layers: style.layers.filter((layer) => !isResult(layer.id) && !layer.id.startsWith("td-")) };
}
