import type { MapLayerMouseEvent } from "maplibre-gl";
import { useEffect, useState } from "react";
import { useJob } from "@/job/store";
import type { Tile } from "@/job/follow";
import { useMap } from "@/map/context";

/** The tile under the pointer. */
export function useTileHere(): Tile | undefined {
  const map = useMap();
  const { tiles, moved } = useJob();
  const [id, setId] = useState<string | null>(null);
  useEffect(() => {
    if (map === null) return undefined;
    const enter = (event: MapLayerMouseEvent) => setId(String(event.features?.[0]?.properties["tile"] ?? ""));
    const leave = () => setId(null);
    map.on("mousemove", "tiles-fill", enter);
    map.on("mouseleave", "tiles-fill", leave);
    return () => {
      map.off("mousemove", "tiles-fill", enter);
      map.off("mouseleave", "tiles-fill", leave);
    };
  }, [map]);
  if (id === null) return undefined;
  return moved.get(id) ?? tiles?.features.find(({ properties }) => properties.tile === id)?.properties;
}
