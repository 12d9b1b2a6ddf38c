import type { Map as MapLibre } from "maplibre-gl";
import { useEffect, useRef, useState, type ReactNode } from "react";
import { useConfig } from "@/api/config";
import { strings } from "@/strings";
import { useTheme } from "@/theme/theme";
import { useView } from "@/view/store";
import { themePaint } from "./basemap";
import { MapContext } from "./context";
import { createMap } from "./createMap";
import { followGraticule } from "./graticule";
import { layGround, useGround } from "./ground";
import { addOutlines } from "./outlines";

/** The map over the whole page, and what needs it. */
export default function MapFrame({ children }: { readonly children: ReactNode }) {
  const frame = useRef<HTMLDivElement>(null);
  const [map, setMap] = useState<MapLibre | null>(null);
  const [failed, setFailed] = useState(false);
  useEffect(() => {
    if (frame.current === null) return;
    try {
      return startMap(frame.current, setMap);
    } catch {
      // The map is foreign: only trying tells whether it can be drawn.
      // eslint-disable-next-line react-hooks/set-state-in-effect
      setFailed(true);
      return undefined;
    }
  }, []);
  useThemedBasemap(map);
  useGroundTiles(map);
  return (
    <>
      <div className="map-frame"><div ref={frame} id="map" tabIndex={-1} className="map" data-testid="map" /></div>
      {failed && <MapFailed />}
      <MapContext value={map}>{children}</MapContext>
    </>
  );
}

function MapFailed() {
  return (
    <div className="map-failed" role="alert">
      <h2>{strings.map.failed}</h2>
      <p>{strings.map.failedHint}</p>
    </div>
  );
}

function startMap(frame: HTMLElement, ready: (map: MapLibre | null) => void): () => void {
  const leaving = new AbortController();
  const map = createMap(frame, useTheme.getState().theme, useView.getState().camera);
  map.once("style.load", () => {
    ready(map);
    followGraticule(map);
    whenIdle(() => void addOutlines(map, leaving.signal).catch(() => undefined));
  });
  map.on("moveend", () => rememberCamera(map));
  window.addEventListener("online", () => refreshRasters(map), { signal: leaving.signal });
  if (import.meta.env.MODE !== "production" || location.hostname === "127.0.0.1") Object.assign(window, { geocropMap: map });
  return () => {
    leaving.abort();
    ready(null);
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

function useThemedBasemap(map: MapLibre | null): void {
  const theme = useTheme((state) => state.theme);
  useEffect(() => {
    for (const { layer, property, value } of themePaint(theme)) map?.setPaintProperty(layer, property as "fill-color", value);
  }, [map, theme]);
}

function useGroundTiles(map: MapLibre | null): void {
  const template = useConfig((config) => config.basemap);
  const ground = useGround((state) => state.ground);
  useEffect(() => (map === null || template === "" || ground !== "tiles" ? undefined : layGround(map, template)), [map, template, ground]);
}
