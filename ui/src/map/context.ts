import type { Map as MapLibre } from "maplibre-gl";
import { createContext, useContext } from "react";

export const MapContext = createContext<MapLibre | null>(null);

/** The map, once its style is there; null before. */
export function useMap(): MapLibre | null {
  return useContext(MapContext);
}
