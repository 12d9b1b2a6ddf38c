import { latitude, shareOf, type Bounds } from "@/raster/lattice";
import type { Camera } from "@/view/store";

/** Southern Africa. */
export const START: Camera = [27, -20, 4];
const WORLD_PX = 512;
const CLOSEST = 19;

/** The camera that shows bounds whole in a frame of so many pixels, as MapLibre's fitBounds does. */
export function cameraFor([west, south, east, north]: Bounds, width: number, height: number): Camera {
  const [top, bottom] = [shareOf(north), shareOf(south)];
  const across = (east - west) / 360;
  const zoom = Math.log2(Math.min(width / across, height / (bottom - top)) / WORLD_PX);
  return [(west + east) / 2, latitude((top + bottom) / 2), Math.min(CLOSEST, Math.max(0, zoom))];
}
