import { Map as MapLibre, setWorkerUrl } from "maplibre-gl";
import workerUrl from "maplibre-gl/dist/maplibre-gl-worker.mjs?worker&url";
import "maplibre-gl/dist/maplibre-gl.css";
import { strings } from "@/strings";
import type { Theme } from "@/theme/theme";
import type { Camera } from "@/view/store";
import { basemapStyle } from "./basemap";
import { START } from "./camera";
import { firstCamera } from "./firstPicture";
import { addRasterProtocols } from "./protocol";

setWorkerUrl(workerUrl);
addRasterProtocols();

/** A map without rotation: north is up, so that views can be compared. */
export function createMap(container: HTMLElement, theme: Theme, camera: Camera | null): MapLibre {
  const [lon, lat, zoom] = camera ?? firstCamera() ?? START;
  const map = new MapLibre({
    container,
    style: basemapStyle(theme),
    center: [lon, lat],
    zoom,
    attributionControl: false,
    dragRotate: false,
    pitchWithRotate: false,
    touchPitch: false,
    fadeDuration: 0,
    maxZoom: 19,
    maxTileCacheSize: 200,
    locale: { "Map.Title": strings.map.label },
  });
  map.touchZoomRotate.disableRotation();
  map.keyboard.disableRotation();
  return map;
}
