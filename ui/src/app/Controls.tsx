import { useBaselines } from "@/baseline/store";
import { IconButton } from "@/kit/IconButton";
import { useMap } from "@/map/context";
import { strings } from "@/strings";
import { LookMenu } from "./LookMenu";

/** Zoom, the whole baseline, and how everything looks. */
export function Controls() {
  const map = useMap();
  const bounds = useBaselines((state) => state.baselines.at(-1)?.bounds);
  return (
    <div className="row">
      <LookMenu />
      <div className="card control-group" role="group" aria-label={strings.map.label}>
        <IconButton icon="minus" label={strings.map.zoomOut} onClick={() => map?.zoomOut()} />
        <IconButton icon="plus" label={strings.map.zoomIn} onClick={() => map?.zoomIn()} />
        {bounds && <IconButton icon="home" label={strings.map.home} onClick={() => map?.fitBounds([...bounds])} />}
      </div>
    </div>
  );
}
