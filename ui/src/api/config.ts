import { create } from "zustand";
import { DEFAULT_LIMITS, type Limits } from "@/area/validity";
import { answered, api } from "./client";

/** What the operator has set; as good as known before the server answers. */
interface Config {
  readonly limits: Limits;
  /** Address of raster tiles with {z}, {x} and {y}; empty: the outlines that ship with the page. */
  readonly basemap: string;
  readonly basemapAttribution: string;
}

export const useConfig = create<Config>()(() => ({ limits: DEFAULT_LIMITS, basemap: "", basemapAttribution: "" }));

export async function loadConfig(): Promise<void> {
  const found = await answered(api.GET("/api/v1/config"));
  useConfig.setState({
    limits: { maxKm2: found.max_aoi_km2, maxVertices: found.max_vertices },
    basemap: found.basemap_url,
    basemapAttribution: found.basemap_attribution,
  });
}
