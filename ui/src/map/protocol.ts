import { addProtocol } from "maplibre-gl";
import { ask } from "@/raster/client";
import { drawnAs, type Drawn } from "./drawn";

/** Makes MapLibre ask the raster worker for `cog://` tiles. */
export function addRasterProtocols(): void {
  addProtocol("cog", async ({ url }, { signal }) => {
    const [id = "", z, x, y] = url.slice("cog://".length).split("/");
    const what = drawnAs(decodeURIComponent(id));
    if (what === undefined) throw new Error(`nothing is drawn as ${id}`);
    return { data: await tile(what, Number(z), Number(x), Number(y), signal) };
  });
}

function tile(what: Drawn, z: number, x: number, y: number, signal: AbortSignal): Promise<ImageBitmap> {
  if (what.kind === "classes") return ask<"tile">({ ...what, kind: "tile", z, x, y }, signal);
  return ask<"change-tile">({ ...what, kind: "change-tile", z, x, y }, signal);
}
