import { lazy, Suspense } from "react";
import { useConfig } from "@/api/config";
import { hectaresOf, vertexCount, type Area } from "@/area/geometry";
import { faultOf } from "@/area/validity";
import { Fact } from "@/kit/Fact";
import { Note } from "@/kit/Note";
import { count, hectares, km2, strings } from "@/strings";
import { faultText } from "./fault";

const TileCount = lazy(() => import("./TileCount"));

/** How large an area is, and whether it can be mapped; it changes while drawing. */
export function Measures({ area, finished }: { readonly area: Area; readonly finished: boolean }) {
  const size = hectaresOf(area);
  const fault = faultOf(area, useConfig((config) => config.limits));
  return (
    <div className="stack">
      <dl className="facts">
        <Fact name={strings.area.size}>{size >= 10_000 ? km2(size / 100) : hectares(size)}</Fact>
        <Fact name={strings.area.tiles}><Suspense fallback="…"><TileCount area={area} /></Suspense></Fact>
        <Fact name={strings.area.vertices}>{count(vertexCount(area))}</Fact>
      </dl>
      {fault && (finished || fault.kind !== "too-small") && <Note tone="bad">{faultText(fault)}</Note>}
      {!fault && finished && <Note tone="good">{strings.area.valid}</Note>}
    </div>
  );
}
