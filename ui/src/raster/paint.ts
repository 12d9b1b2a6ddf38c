import type { Frame } from "./lattice";

/** A picture of values (y, x), each in its colour of a palette of 256 little-endian RGBA words. */
export function paint(values: Uint8Array, palette: Uint32Array, size: number): Promise<ImageBitmap> {
  return createImageBitmap(picture(values, palette, size, size));
}

/** Fills a canvas with the values (y, x) of a frame, each in its colour; `ratio` is the canvas's pixels per pixel of the page. */
export function paintFrame(canvas: OffscreenCanvas, { lattice, scale, left, top }: Frame, ratio: number, values: Uint8Array, palette: Uint32Array): void {
  const [width, height] = [lattice.lons.length, lattice.lats.length];
  const drawn = new OffscreenCanvas(width, height);
  drawn.getContext("2d")?.putImageData(picture(values, palette, width, height), 0, 0);
  const context = canvas.getContext("2d");
  if (context === null) return;
  context.imageSmoothingEnabled = false;
  context.drawImage(drawn, left * ratio, top * ratio, width * scale * ratio, height * scale * ratio);
}

function picture(values: Uint8Array, palette: Uint32Array, width: number, height: number): ImageData {
  const words = new Uint32Array(values.length);
  for (let i = 0; i < values.length; i++) words[i] = palette[values[i] as number] as number;
  return new ImageData(new Uint8ClampedArray(words.buffer), width, height);
}

/** Values that are 1 where two rasters differ in what they mean, 0 elsewhere, and 0 where either has none. */
export function differences(first: Uint8Array, second: Uint8Array, nodata: readonly [number, number], meaning: Uint8Array): Uint8Array {
  const differs = (value: number, i: number) => {
    const other = second[i] as number;
    return value !== nodata[0] && other !== nodata[1] && value !== meaning[other] ? 1 : 0;
  };
  return first.map(differs);
}
