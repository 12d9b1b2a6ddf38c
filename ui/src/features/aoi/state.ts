import { create } from "zustand";
import { boundsOf, type Area } from "@/area/geometry";
import { useView } from "@/view/store";

interface AreaState {
  /** What is being drawn, before it is finished. */
  readonly draft: Area | null;
  /** Areas before this one, the last one last. */
  readonly past: readonly (Area | null)[];
  /** Why the last file or text was not taken, in words. */
  readonly refusal: string | null;
  /** The area to move the map to, once. */
  readonly fit: Area | null;
}

const MOST_PAST = 30;

export const useAreaState = create<AreaState>()(() => ({ draft: null, past: [], refusal: null, fit: null }));

/** Takes an area over; the one before can be had back. */
export function takeArea(area: Area | null, options: { readonly fit?: boolean; readonly name?: string } = {}): void {
  const { area: before, set } = useView.getState();
  useAreaState.setState(({ past }) => ({
    past: [...past, before].slice(-MOST_PAST),
    draft: null,
    refusal: null,
    fit: options.fit === true ? area : null,
  }));
  set({ area, areaId: null, ...(options.name === undefined ? {} : { areaName: options.name }) });
}

export function undoArea(): void {
  const { past } = useAreaState.getState();
  const before = past.at(-1);
  if (before === undefined) return;
  useAreaState.setState({ past: past.slice(0, -1), refusal: null });
  useView.getState().set({ area: before, areaId: null, tool: null });
}

/** The four corners of some bounds. */
export function rectangle([west, south, east, north]: readonly [number, number, number, number]): Area {
  return { type: "Polygon", coordinates: [[[west, south], [east, south], [east, north], [west, north], [west, south]]] };
}

export function boundsToFit(area: Area): [[number, number], [number, number]] {
  const [west, south, east, north] = boundsOf(area);
  return [[west, south], [east, north]];
}
