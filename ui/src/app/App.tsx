import { AreaTools } from "@/features/aoi";
import { BaselineLayers, BaselineNotices, Legend, YearDock } from "@/features/baselines";
import { AreaOutline, TileLayer } from "@/features/job";
import { ResultLayer, Swipe } from "@/features/result";
import { MapFrame } from "@/map/MapFrame";
import { strings } from "@/strings";
import { useView } from "@/view/store";
import { Attribution } from "./Attribution";
import { Controls } from "./Controls";
import { Notices } from "./Notices";
import { SidePanel } from "./SidePanel";
import { WatchedJob } from "./WatchedJob";
import { useFolded } from "./folded";

/** The page: the map with everything that lies over it. */
export function App() {
  const folded = useFolded((state) => state.folded);
  const drawing = useView((view) => view.tool !== null);
  return (
    <div className="shell" data-folded={folded} data-drawing={drawing}>
      <header>
        <a className="skip" href="#map" onClick={focusMap}>{strings.app.skip}</a>
        <h1 className="visually-hidden">{strings.app.name}: {strings.app.tagline}</h1>
      </header>
      <MapFrame>
        <BaselineLayers />
        <AreaTools />
        <ResultLayer />
        <TileLayer />
        <AreaOutline />
        <Swipe />
        <WatchedJob />
        <SidePanel />
        <section className="controls" aria-label={strings.map.tools}>
          <Controls />
          <Legend />
        </section>
        <div className="foot">
          <YearDock />
          <Attribution />
        </div>
        <Notices><BaselineNotices /></Notices>
      </MapFrame>
    </div>
  );
}

function focusMap(event: React.MouseEvent): void {
  event.preventDefault();
  document.querySelector<HTMLElement>(".maplibregl-canvas")?.focus();
}
