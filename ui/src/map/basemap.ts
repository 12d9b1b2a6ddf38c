import type { LayerSpecification, StyleSpecification } from "maplibre-gl";
import countriesUrl from "world-atlas/countries-50m.json?url";
import type { Theme } from "@/theme/theme";

/** Layers are put below one of these, so that their order never depends on when they come. */
export const SLOTS = { ground: "slot-ground", rasters: "slot-rasters", results: "slot-results", outlines: "slot-outlines", areas: "slot-areas" } as const;
export const COUNTRIES_URL = countriesUrl;

interface Tones {
  readonly water: string;
  readonly land: string;
  readonly border: string;
  readonly grid: string;
  readonly ink: string;
  readonly halo: string;
}

const TONES: Record<Theme, Tones> = {
  light: { water: "#d3dfe2", land: "#f2efe6", border: "#8f897a", grid: "#b9c4c3", ink: "#4a4f47", halo: "#fdfcf8" },
  dark: { water: "#0f1517", land: "#1b201d", border: "#5d655e", grid: "#28302f", ink: "#b4bab0", halo: "#0f1311" },
};

/** The self-contained style: outlines that ship with the page, nothing from elsewhere. */
export function basemapStyle(theme: Theme): StyleSpecification {
  const empty = { type: "geojson" as const, data: { type: "FeatureCollection" as const, features: [] } };
  return {
    version: 8,
    sources: { land: empty, borders: empty, names: empty, graticule: empty },
    layers: layers(TONES[theme]),
    transition: { duration: 0, delay: 0 },
  };
}

/** Paint properties of the basemap in a theme, by layer. */
export function themePaint(theme: Theme): readonly { layer: string; property: string; value: string }[] {
  const tones = TONES[theme];
  return [
    { layer: "base", property: "background-color", value: tones.land },
    { layer: "water", property: "background-color", value: tones.water },
    { layer: "land", property: "fill-color", value: tones.land },
    { layer: "graticule", property: "line-color", value: tones.grid },
    { layer: "borders", property: "line-color", value: tones.border },
    { layer: "names", property: "text-color", value: tones.ink },
    { layer: "names", property: "text-halo-color", value: tones.halo },
  ];
}

function layers(tones: Tones): LayerSpecification[] {
  return [
    { id: "base", type: "background", paint: { "background-color": tones.land } },
    { id: "water", type: "background", layout: { visibility: "none" }, paint: { "background-color": tones.water } },
    { id: "land", type: "fill", source: "land", paint: { "fill-color": tones.land, "fill-antialias": false } },
    { id: "graticule", type: "line", source: "graticule", paint: { "line-color": tones.grid, "line-width": 0.7 } },
    slot(SLOTS.ground),
    slot(SLOTS.rasters),
    slot(SLOTS.results),
    slot(SLOTS.outlines),
    { id: "borders", type: "line", source: "borders", paint: { "line-color": tones.border, "line-width": ["interpolate", ["linear"], ["zoom"], 2, 0.5, 8, 1.4] } },
    slot(SLOTS.areas),
    {
      id: "names",
      type: "symbol",
      source: "names",
      maxzoom: 8,
      layout: { "text-field": ["get", "name"], "text-font": ["sans-serif"], "text-size": ["interpolate", ["linear"], ["zoom"], 3, 11, 7, 15], "text-letter-spacing": 0.04, "text-max-width": 8 },
      paint: { "text-color": tones.ink, "text-halo-color": tones.halo, "text-halo-width": 1.4 },
    },
  ];
}

function slot(id: string): LayerSpecification {
  return { id, type: "background", layout: { visibility: "none" }, paint: { "background-color": "rgba(0,0,0,0)" } };
}
