import type { Map as MapLibre, RasterTileSource } from "maplibre-gl";
import type { Bounds } from "@/raster/lattice";

export interface Raster {
  readonly tiles: readonly string[];
  readonly bounds?: Bounds;
  readonly opacity: number;
}

/** Lays tiles of 512 px below a layer, as they are: no fade, no colours between those of classes. */
export function addRaster(map: MapLibre, id: string, below: string, { tiles, bounds, opacity }: Raster): void {
  map.addSource(id, { type: "raster", tiles: [...tiles], tileSize: 512, maxzoom: 17, ...(bounds && { bounds: [...bounds] }) });
  neverReduce(map, id);
  const paint = { "raster-resampling": "nearest", "raster-fade-duration": 0, "raster-opacity": opacity, "raster-opacity-transition": { duration: 0 } } as const;
  map.addLayer({ id, type: "raster", source: id, paint }, below);
}

/** Tiles of the next finer zoom would be reduced, which MapLibre does by mixing colours whatever the resampling. */
export function neverReduce(map: MapLibre, id: string): void {
  const source = map.getSource<RasterTileSource>(id);
  if (source?.type === "raster") source.roundZoom = false;
}

/** Takes away what `addRaster` laid, if it is there. */
export function removeRaster(map: MapLibre, id: string): void {
  if (map.getLayer(id)) map.removeLayer(id);
  if (map.getSource(id)) map.removeSource(id);
}
