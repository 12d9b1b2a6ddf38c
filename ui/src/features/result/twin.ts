import { Map as MapLibre } from "maplibre-gl";

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
  const restyle = () => twin.setStyle(withoutResult(map));
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
  return { ...style, layers: style.layers.filter((layer) => layer.id !== "result" && !layer.id.startsWith("td-")) };
}
