import { answered, api, type Schemas } from "@/api/client";
import { fromGeoJson } from "@/area/parse";
import type { Area } from "@/area/geometry";
import { useView } from "@/view/store";
import { takeArea } from "./state";

type Saved = Schemas["AoiView"];

/** The areas that the server keeps for this owner, the newest first. */
export async function listSaved(signal: AbortSignal): Promise<readonly Saved[]> {
  return (await answered(api.GET("/api/v1/aois", { params: { query: { limit: 100 } }, signal }))).items;
}

/** Keeps an area on the server; from then on the address names it. */
export async function saveArea(area: Area, name: string): Promise<void> {
  const { id } = await answered(api.POST("/api/v1/aois", { body: { name, geometry: { ...area } } }));
  if (useView.getState().area === area) useView.getState().set({ areaId: id, areaName: name });
}

export async function removeSaved(id: string): Promise<void> {
  await api.DELETE("/api/v1/aois/{aoi}", { params: { path: { aoi: id } } });
  if (useView.getState().areaId === id) useView.getState().set({ areaId: null });
}

/** Makes a saved area the area. */
export function takeSaved({ id, name, geometry }: Saved): void {
  takeArea(fromGeoJson(geometry), { fit: true, name });
  useView.getState().set({ areaId: id });
}

export function fetchSaved(id: string, signal: AbortSignal): Promise<Saved> {
  return answered(api.GET("/api/v1/aois/{aoi}", { params: { path: { aoi: id } }, signal }));
}
