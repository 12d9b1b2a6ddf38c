import { lazy, Suspense } from "react";
import { AreaPanel } from "@/features/aoi";
import { OrderPanel } from "@/features/quote";
import { Boundary } from "@/kit/Boundary";
import { IconButton } from "@/kit/IconButton";
import { Note } from "@/kit/Note";
import { Segments } from "@/kit/Segments";
import { strings } from "@/strings";
import { useView, type Panel } from "@/view/store";
import { Account } from "./Account";
import { useFolded } from "./folded";

const MapsPanel = lazy(() => import("./MapsPanel"));

const PANELS: readonly { value: Panel; label: string }[] = [
  { value: "area", label: strings.app.area },
  { value: "order", label: strings.app.order },
  { value: "maps", label: strings.app.maps },
];

/** The steps from an area to its map: beside the map, or under it on a phone. */
export function SidePanel() {
  const { panel, set } = useView();
  const { folded, toggle } = useFolded();
  return (
    <main className="panel" data-folded={folded}>
      <div className="card panel-card">
        <button type="button" className="panel-grip" aria-label={folded ? strings.app.expand : strings.app.collapse} onClick={toggle} />
        <div className="panel-top">
          <div className="panel-head">
            <div className="brand grow"><img src="./icon.svg" alt="" /><strong>{strings.app.name}</strong></div>
            <Account />
            <IconButton icon={folded ? "down" : "up"} className="button-plain panel-fold" label={folded ? strings.app.expand : strings.app.collapse} aria-expanded={!folded} onClick={toggle} />
          </div>
          <div className="panel-tabs"><Segments label={strings.app.panels} value={panel} options={PANELS} onChange={(value) => set({ panel: value })} /></div>
        </div>
        {!folded && (
          <div className="panel-body">
            <Boundary key={panel} fallback={(retry) => <Note tone="bad" action={<button type="button" className="button" onClick={retry}>{strings.app.retry}</button>}>{strings.app.crash}</Note>}>
              {panel === "area" && <AreaPanel />}
              {panel === "order" && <OrderPanel />}
              {panel === "maps" && <Suspense fallback={<span className="spinner" />}><MapsPanel /></Suspense>}
            </Boundary>
          </div>
        )}
      </div>
    </main>
  );
}
