import type { ErrorEvent, Map as MapLibre, MapSourceDataEvent } from "maplibre-gl";
import type { Baseline } from "@/baseline/catalog";
import { DYNAMIC_WORLD, inPalette, paletteOf, type PaletteName } from "@/legend/dynamicWorld";
import { SLOTS } from "@/map/basemap";
import { cogTiles } from "@/map/drawn";
import { addRaster, removeRaster } from "@/map/raster";
import { ask } from "@/raster/client";

export interface StackEvents {
  readonly onPainted: (year: number) => void;
  readonly onWarm: (years: ReadonlySet<number>) => void;
  readonly onFailed: (year: number) => void;
}

/**
 * A layer a year, of which one is opaque. A year becomes opaque only when all its tiles in view are there, and the one
 * before stays until then: no flash. Its neighbours are loaded, transparent, as soon as it is.
 */
export class YearStack {
  #shown: string | null = null;
  #wanted: string | null = null;
  #warm = "";
  readonly #readable = new Set<string>();
  /** Layers of which a tile could not be had. */
  readonly #broken = new Set<string>();

  constructor(private readonly map: MapLibre, private readonly baselines: readonly Baseline[], private readonly events: StackEvents) {
    map.on("sourcedata", this.#onData);
    map.on("error", this.#onError);
  }

  /** Show a year in a palette, as soon as it is loaded; called again, what could not be had is asked for again. */
  async show(year: number, palette: PaletteName): Promise<void> {
    const baseline = this.baselines.find((one) => one.year === year);
    if (baseline === undefined) return;
    const id = layerId(year, palette);
    this.#wanted = id;
    if (!(await this.#ensure(baseline, palette))) {
      this.events.onFailed(year);
      return;
    }
    if (this.#wanted !== id) return;
    this.map.setLayoutProperty(id, "visibility", "visible");
    this.#swapWhenLoaded();
  }

  setVisible(visible: boolean): void {
    for (const id of this.#layers()) {
      if (id === this.#shown) this.map.setPaintProperty(id, "raster-opacity", visible ? 1 : 0);
    }
  }

  remove(): void {
    this.map.off("sourcedata", this.#onData);
    this.map.off("error", this.#onError);
    for (const id of this.#layers()) removeRaster(this.map, id);
  }

  #onData = (event: MapSourceDataEvent) => {
    if (event.sourceId === this.#wanted) this.#swapWhenLoaded();
    else if (event.sourceId.startsWith(PREFIX)) this.#tellWarm();
  };

  #onError = (event: ErrorEvent & { readonly sourceId?: string }) => {
    const id = event.sourceId;
    if (id === undefined || !id.startsWith(PREFIX)) return;
    this.#broken.add(id);
    if (id === this.#wanted) this.#swapWhenLoaded();
  };

  #swapWhenLoaded(): void {
    const id = this.#wanted;
    if (id === null || id === this.#shown || !this.map.getLayer(id)) return;
    if (this.#broken.has(id)) {
      this.events.onFailed(yearOf(id));
      return;
    }
    if (!this.map.isSourceLoaded(id)) return;
    this.map.setPaintProperty(id, "raster-opacity", 1);
    if (this.#shown !== null && this.map.getLayer(this.#shown)) this.map.setPaintProperty(this.#shown, "raster-opacity", 0);
    this.#shown = id;
    this.events.onPainted(yearOf(id));
    void this.#warmNeighbours(yearOf(id), paletteNameOf(id));
  }

  async #warmNeighbours(year: number, palette: PaletteName): Promise<void> {
    const at = this.baselines.findIndex((one) => one.year === year);
    const near = [this.baselines[at + 1], this.baselines[at - 1], this.baselines[at + 2]].filter((one) => one !== undefined);
    const kept = new Set([layerId(year, palette), ...near.map((one) => layerId(one.year, palette))]);
    for (const one of near) await this.#ensure(one, palette);
    for (const id of this.#layers()) {
      this.map.setLayoutProperty(id, "visibility", kept.has(id) || id === this.#wanted ? "visible" : "none");
    }
    this.#tellWarm();
  }

  #tellWarm(): void {
    const warm = this.#layers().filter((id) => this.map.getLayoutProperty(id, "visibility") === "visible" && this.map.isSourceLoaded(id));
    const years = warm.map(yearOf).toSorted((a, b) => a - b);
    if (years.join() === this.#warm) return;
    this.#warm = years.join();
    this.events.onWarm(new Set(years));
  }

  /** Adds the layer of a year; false when neither its file nor tiles of it can be had. */
  async #ensure(baseline: Baseline, palette: PaletteName): Promise<boolean> {
    const id = layerId(baseline.year, palette);
    const readable = await this.#isReadable(baseline);
    if (!readable && baseline.tiles.length === 0) return false;
    if (this.#broken.delete(id) && id !== this.#shown) removeRaster(this.map, id);
    if (this.map.getLayer(id)) return true;
    const tiles = readable && baseline.cog !== null ? [cogTiles(id, classes(baseline.cog, palette))] : baseline.tiles;
    addRaster(this.map, id, SLOTS.rasters, { tiles, bounds: baseline.bounds, opacity: 0 });
    return true;
  }

  async #isReadable({ cog }: Baseline): Promise<boolean> {
    if (cog === null) return false;
    if (this.#readable.has(cog)) return true;
    const readable = await ask<"open">({ kind: "open", href: cog }).then(() => true, () => false);
    if (readable) this.#readable.add(cog);
    return readable;
  }

  #layers(): string[] {
    return this.map.getLayersOrder().filter((id) => id.startsWith(PREFIX));
  }
}

const PREFIX = "baseline-";

function classes(href: string, palette: PaletteName) {
  return { kind: "classes", href, palette: paletteOf(inPalette(DYNAMIC_WORLD, palette)) } as const;
}

function layerId(year: number, palette: PaletteName): string {
  return `${PREFIX}${year}-${palette}`;
}

function yearOf(id: string): number {
  return Number(id.slice(PREFIX.length).split("-")[0]);
}

function paletteNameOf(id: string): PaletteName {
  return id.endsWith("safe") ? "safe" : "official";
}
