import type { Map as MapLibre } from "maplibre-gl";
import { useTheme } from "@/theme/theme";
import { useView } from "@/view/store";
import { createMap } from "./createMap";
import { followGraticule } from "./graticule";
import { clickByKey } from "./keyboard";
import { addOutlines } from "./outlines";

/** Puts a map into a frame, and tells when its style is there. Returns what ends it. Throws where WebGL is missing. */
export function startMap(frame: HTMLElement, ready: (map: MapLibre) => void): () => void {
  const leaving = new AbortController();
  const map = createMap(frame, useTheme.getState().theme, useView.getState().camera);
  map.once("style.load", () => {
    ready(map);
    followGraticule(map);
    whenIdle(() => void addOutlines(map, leaving.signal).catch(() => undefined));
  });
  map.on("error", (event) => {
    if (!("sourceId" in event)) console.error(event.error); // what could not be had of a source, the browser has said
  });
  clickByKey(map, leaving.signal);
  map.on("moveend", () => rememberCamera(map));
  window.addEventListener("online", () => refreshRasters(map), { signal: leaving.signal });
  if (import.meta.env.MODE !== "production" || location.hostname === "127.0.0.1") Object.assign(window, { geocropMap: map });
  return () => {
    leaving.abort();
    map.remove();
  };
}

/** The baseline comes first: countries are much to read. */
function whenIdle(act: () => void): void {
  if ("requestIdleCallback" in window) window.requestIdleCallback(act, { timeout: 1_500 });
  else setTimeout(act, 500);
}

/** What could not be had while the line was down. */
function refreshRasters(map: MapLibre): void {
  for (const [id, source] of Object.entries(map.getStyle().sources)) if (source.type === "raster") map.refreshTiles(id);
}

function rememberCamera(map: MapLibre): void {
  const { lng, lat } = map.getCenter();
  useView.getState().set({ camera: [lng, lat, map.getZoom()] });
}
