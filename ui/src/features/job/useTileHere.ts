import type { MapLayerMouseEvent } from "maplibre-gl";
import { useEffect, useState } from "react";
import { useJob } from "@/job/store";
import type { Tile } from "@/job/follow";
import { useMap } from "@/map/context";

/** The tile under the pointer; a click on one chooses it. */
export function useTileHere(): Tile | undefined {
  const map = useMap();
  const tile = useJob((state) => state.tile);
  useJob((state) => state.fresh); // what was heard has moved on: look again
  const [over, setOver] = useState<string | null>(null);
  useEffect(() => {
    if (map === null) return undefined;
    const idOf = (event: MapLayerMouseEvent) => String(event.features?.[0]?.properties["tile"] ?? "") || null;
    const enter = (event: MapLayerMouseEvent) => setOver(idOf(event));
    const leave = () => setOver(null);
    const choose = (event: MapLayerMouseEvent) => useJob.setState({ tile: idOf(event) });
    map.on("mousemove", "tiles-fill", enter);
    map.on("mouseleave", "tiles-fill", leave);
    map.on("click", "tiles-fill", choose);
    return () => {
      map.off("mousemove", "tiles-fill", enter);
      map.off("mouseleave", "tiles-fill", leave);
      map.off("click", "tiles-fill", choose);
    };
  }, [map]);
  const id = over ?? tile;
  if (id === null) return undefined;
  const { moved, tiles } = useJob.getState();
  return moved.get(id) ?? tiles?.features.find(({ properties }) => properties.tile === id)?.properties;
}
