import type { Map as MapLibre } from "maplibre-gl";

/** Enter on the map is a click on its middle, which is marked while the map has the keyboard. */
export function clickByKey(map: MapLibre, signal: AbortSignal): void {
  map.getCanvas().addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || event.target !== map.getCanvas()) return;
    const lngLat = map.getCenter();
    map.fire("click", { lngLat, point: map.project(lngLat), originalEvent: event });
  }, { signal });
}
