import type { Map as MapLibre } from "maplibre-gl";
import { useEffect, useRef, type ReactNode } from "react";
import { useConfig } from "@/api/config";
import { useBaselines } from "@/baseline/store";
import { strings } from "@/strings";
import { useTheme } from "@/theme/theme";
import { themePaint } from "./basemap";
import { MapContext } from "./context";
import { endFirst } from "./firstPicture";
import { layGround, useGround } from "./ground";
import { useMapIn } from "./useMapIn";

/** The map over the whole page, and what needs it. */
export function MapFrame({ children }: { readonly children: ReactNode }) {
  const frame = useRef<HTMLDivElement>(null);
  const { map, failed } = useMapIn(frame);
  useThemedBasemap(map);
  useGroundTiles(map);
  useFirstPicture(map);
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

/** The first picture lies there until the map shows as much itself, or is moved. */
function useFirstPicture(map: MapLibre | null): void {
  const settled = useBaselines(({ status, baselines, painted, failed }) => {
    return painted !== null || failed !== null || status === "failed" || (status === "ready" && baselines.length === 0);
  });
  useEffect(() => {
    if (map === null) return undefined;
    if (map.isMoving()) endFirst();
    const event = settled ? "render" : "movestart";
    map.once(event, endFirst);
    window.addEventListener("resize", endFirst);
    if (settled) map.triggerRepaint();
    return () => {
      map.off(event, endFirst);
      window.removeEventListener("resize", endFirst);
    };
  }, [map, settled]);
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
