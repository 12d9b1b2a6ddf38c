import { create } from "zustand";
import type { Area } from "@/area/geometry";
import type { PaletteName } from "@/legend/dynamicWorld";

export type Panel = "area" | "order" | "maps";
export type Tool = "polygon" | "rectangle" | "circle" | "edit";
export type Camera = readonly [lon: number, lat: number, zoom: number];
export type SwipeMode = "off" | "on";

/** What is looked at. Features share this and nothing else. */
export interface View {
  readonly camera: Camera | null;
  readonly year: number | null;
  readonly palette: PaletteName;
  readonly panel: Panel;
  readonly tool: Tool | null;
  readonly area: Area | null;
  readonly areaName: string;
  /** The saved area that this is, as long as it is not changed. */
  readonly areaId: string | null;
  readonly job: string | null;
  /** Secret of a read-only link to that job; null for its owner. */
  readonly link: string | null;
  /** The other map of a comparison. */
  readonly other: string | null;
  /** Share of the result that covers the baseline. */
  readonly opacity: number;
  readonly layer: string;
  readonly swipe: SwipeMode;
}

interface Actions {
  readonly set: (change: Partial<View>) => void;
}

export const START: View = {
  camera: null,
  year: null,
  palette: "official",
  panel: "area",
  tool: null,
  area: null,
  areaName: "",
  areaId: null,
  job: null,
  link: null,
  other: null,
  opacity: 1,
  layer: "map",
  swipe: "off",
};

/** A link opens one job only: it is let go with it. */
export const useView = create<View & Actions>()((set) => ({
  ...START,
  set: (change) => set("job" in change && !("link" in change) ? { ...change, link: null } : change),
}));
