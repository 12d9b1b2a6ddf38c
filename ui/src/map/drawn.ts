/** What a raster that is drawn in the browser shows. */
export type Drawn =
  | { readonly kind: "classes"; readonly href: string; readonly palette: Uint32Array }
  | { readonly kind: "change"; readonly href: string; readonly other: string; readonly colour: number; readonly meaning: Uint8Array };

const drawn = new Map<string, Drawn>();

/** Tile address of a raster that the browser draws; the same id shows the same. */
export function cogTiles(id: string, what: Drawn): string {
  drawn.set(id, what);
  return `cog://${encodeURIComponent(id)}/{z}/{x}/{y}`;
}

/** What is drawn under an id. */
export function drawnAs(id: string): Drawn | undefined {
  return drawn.get(id);
}
