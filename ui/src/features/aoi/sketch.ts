import type { Map as MapLibre } from "maplibre-gl";
import {
  TerraDraw,
  TerraDrawCircleMode,
  TerraDrawPolygonMode,
  TerraDrawRectangleMode,
  TerraDrawSelectMode,
  type GeoJSONStoreFeatures,
  type HexColor,
} from "terra-draw";
import { TerraDrawMapLibreGLAdapter } from "terra-draw-maplibre-gl-adapter";
import { polygonsOf, type Area } from "@/area/geometry";
import type { Tool } from "@/view/store";

export interface SketchEvents {
  /** The shape as it is now; null before there is one. */
  readonly onDraft: (area: Area | null) => void;
  readonly onFinish: (area: Area) => void;
}

const PRECISION = 7;
const INK: HexColor = "#0b62c4";
const WHITE: HexColor = "#ffffff";
const OUTLINE = { fillColor: INK, fillOpacity: 0.12, outlineColor: INK, outlineWidth: 2.5 } as const;

/** Drawing with one tool, or changing an area that is there. Stop it when done. */
export class Sketch {
  readonly #draw: TerraDraw;

  constructor(map: MapLibre, tool: Tool, area: Area | null, events: SketchEvents) {
    this.#draw = new TerraDraw({ adapter: new TerraDrawMapLibreGLAdapter({ map, coordinatePrecision: PRECISION }), modes: modes() });
    this.#draw.start();
    this.#draw.on("change", () => events.onDraft(this.#area()));
    if (tool === "edit") this.#edit(area, events);
    else this.#begin(tool, events);
  }

  stop(): void {
    this.#draw.stop();
  }

  #begin(tool: Exclude<Tool, "edit">, events: SketchEvents): void {
    this.#draw.setMode(tool);
    this.#draw.on("finish", () => {
      const area = this.#area();
      if (area) events.onFinish(area);
    });
  }

  #edit(area: Area | null, events: SketchEvents): void {
    const added = this.#draw.addFeatures(polygonsOf(area ?? { type: "MultiPolygon", coordinates: [] }).map(toFeature));
    this.#draw.setMode("select");
    const id = added[0]?.id;
    if (id !== undefined) this.#draw.selectFeature(id);
    events.onDraft(this.#area());
  }

  #area(): Area | null {
    const polygons = this.#draw.getSnapshot().flatMap(({ geometry, properties }) => {
      return geometry.type === "Polygon" && properties["mode"] !== "select" ? [geometry.coordinates] : [];
    });
    const [only] = polygons;
    if (only === undefined) return null;
    return polygons.length === 1 ? { type: "Polygon", coordinates: only } : { type: "MultiPolygon", coordinates: polygons };
  }
}

function modes() {
  const closing = { closingPointColor: INK, closingPointOutlineColor: WHITE, closingPointWidth: 6, closingPointOutlineWidth: 2 } as const;
  const points = { selectionPointColor: WHITE, selectionPointOutlineColor: INK, selectionPointWidth: 6, selectionPointOutlineWidth: 2.5 } as const;
  const middles = { midPointColor: INK, midPointOutlineColor: WHITE, midPointWidth: 4, midPointOutlineWidth: 1.5 } as const;
  const selected = { selectedPolygonColor: INK, selectedPolygonFillOpacity: 0.12, selectedPolygonOutlineColor: INK, selectedPolygonOutlineWidth: 2.5 } as const;
  return [
    new TerraDrawPolygonMode({ styles: { ...OUTLINE, ...closing }, pointerDistance: 16 }),
    new TerraDrawRectangleMode({ styles: OUTLINE }),
    new TerraDrawCircleMode({ styles: OUTLINE, segments: 64 }),
    new TerraDrawSelectMode({
      allowManualDeselection: false,
      styles: { ...selected, ...points, ...middles },
      flags: { polygon: { feature: { draggable: true, coordinates: { midpoints: true, draggable: true, deletable: true } } } },
    }),
  ];
}

function toFeature(coordinates: Area["coordinates"][number] | Area["coordinates"]): GeoJSONStoreFeatures {
  const rounded = JSON.parse(JSON.stringify(coordinates), (_, value: unknown) => (typeof value === "number" ? Number(value.toFixed(PRECISION)) : value)) as [number, number][][];
  return { type: "Feature", geometry: { type: "Polygon", coordinates: rounded }, properties: { mode: "polygon" } };
}
