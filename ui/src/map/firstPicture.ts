import { askBaselines, chosenBaseline } from "@/baseline/catalog";
import { DYNAMIC_WORLD, inPalette, paletteOf } from "@/legend/dynamicWorld";
import { ask, startWorker } from "@/raster/client";
import type { Camera } from "@/view/store";
import { fromHash } from "@/view/url";
import { cameraFor } from "./camera";

/** Longest wait of the map for the picture: drawing by software, its start would hold the picture up. */
const PATIENCE_MS = 900;

let camera: Camera | null = null;
let started: Promise<unknown> = Promise.resolve();

/** Where the map starts, where the address does not say; null where nobody knows. */
export function firstCamera(): Camera | null {
  return camera;
}

/**
 * Draws the baseline of the address before the map's code is there: the raster worker paints what the map will show on a
 * canvas that lies below it. Nothing is drawn where the view is a job's, or the browser cannot read the raster.
 */
export function drawFirst(canvas: HTMLCanvasElement): void {
  startWorker();
  started = draw(canvas).catch(() => undefined);
}

/** When the picture is there, or takes too long, or there is none. */
export function firstDrawn(): Promise<unknown> {
  return Promise.race([started, new Promise((done) => setTimeout(done, PATIENCE_MS))]);
}

/** The map shows as much, or something else: the picture is taken away, and the map no longer transparent. */
export function endFirst(): void {
  delete document.documentElement.dataset["first"];
  document.getElementById(CANVAS)?.remove();
}

/** The canvas of index.html. */
export const CANVAS = "first-picture";

async function draw(canvas: HTMLCanvasElement): Promise<void> {
  const view = fromHash(location.hash);
  if (!view.camera && view.job !== undefined) return;
  const baselines = await askBaselines();
  const baseline = chosenBaseline(baselines, view.year ?? null);
  const newest = baselines.at(-1);
  if (!baseline?.cog || newest === undefined) return;
  const [width, height] = [window.innerWidth, window.innerHeight];
  camera = view.camera ?? cameraFor(newest.bounds, width, height);
  const [lon, lat, zoom] = camera;
  const ratio = window.devicePixelRatio;
  [canvas.width, canvas.height] = [Math.round(width * ratio), Math.round(height * ratio)];
  const palette = paletteOf(inPalette(DYNAMIC_WORLD, view.palette ?? "official"));
  const question = { kind: "frame", href: baseline.cog, canvas: canvas.transferControlToOffscreen(), lon, lat, zoom, ratio, palette } as const;
  const drawn = await ask<"frame">(question);
  if (drawn > 0 && canvas.isConnected) document.documentElement.dataset["first"] = "shown";
}
