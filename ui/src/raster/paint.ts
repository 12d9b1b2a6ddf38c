/** A picture of values (y, x), each in its colour of a palette of 256 little-endian RGBA words. */
export function paint(values: Uint8Array, palette: Uint32Array, size: number): Promise<ImageBitmap> {
  const words = new Uint32Array(values.length);
  for (let i = 0; i < values.length; i++) words[i] = palette[values[i] as number] as number;
  return createImageBitmap(new ImageData(new Uint8ClampedArray(words.buffer), size, size));
}

/** Values that are 1 where two rasters differ, 0 elsewhere, and 0 where either has none. */
export function differences(first: Uint8Array, second: Uint8Array, nodata: readonly [number, number]): Uint8Array {
  const differs = (value: number, i: number) => {
    const other = second[i] as number;
    return value !== nodata[0] && other !== nodata[1] && value !== other ? 1 : 0;
  };
  return first.map(differs);
}
