import type { Position } from "geojson";
import { answered, api } from "@/api/client";
import { useFetched } from "@/api/useFetched";
import { boundsOf, polygonsOf, type Area } from "@/area/geometry";
import { fromGeoJson } from "@/area/parse";

const SIZE = 44;

/** A job's area, drawn small. */
export function Outline({ job }: { readonly job: string }) {
  const { data } = useFetched(job, async (signal) => fromGeoJson(await answered(api.GET("/api/v1/jobs/{job}/aoi", { params: { path: { job } }, signal }))));
  return (
    <svg width={SIZE} height={SIZE} viewBox={`0 0 ${SIZE} ${SIZE}`} aria-hidden="true" style={{ flex: "none", borderRadius: 8, background: "var(--raised)" }}>
      {data && <path d={pathOf(data)} fill="var(--accent-soft)" stroke="var(--accent)" strokeWidth="1.5" strokeLinejoin="round" />}
    </svg>
  );
}

function pathOf(area: Area): string {
  const [west, south, east, north] = boundsOf(area);
  const narrow = Math.cos((((south + north) / 2) * Math.PI) / 180);
  const scale = (SIZE - 10) / Math.max((east - west) * narrow, north - south, 1e-9);
  const place = ([lon = 0, lat = 0]: Position) => {
    const x = SIZE / 2 + (lon - (west + east) / 2) * narrow * scale;
    const y = SIZE / 2 - (lat - (south + north) / 2) * scale;
    return `${x.toFixed(1)} ${y.toFixed(1)}`;
  };
  return polygonsOf(area).flat().map((ring) => `M${ring.map(place).join("L")}Z`).join("");
}
