import { useJob } from "@/job/store";
import { Icon } from "@/kit/Icon";
import { useMap } from "@/map/context";
import { paddingOf } from "@/map/padding";
import { strings } from "@/strings";
import { useView } from "@/view/store";
import { AreasTable } from "./AreasTable";
import { Downloads } from "./Downloads";
import { DriftCard } from "./DriftCard";
import { Inspector } from "./Inspector";
import { LayerKeyView } from "./LayerKeyView";
import { LayerPicker } from "./LayerPicker";
import { YearsChart } from "./YearsChart";

/** A published map: how it is shown, what it says, and what to take away. */
export function ResultPanel() {
  const map = useMap();
  const result = useJob((state) => state.result);
  const { opacity, swipe, layer, set } = useView();
  if (result === null) return null;
  const bounds = result.layers["map"]?.tilejson.bounds;
  return (
    <div className="stack stack-wide">
      <section className="stack" aria-label={strings.result.layers}>
        <LayerPicker layers={Object.keys(result.layers)} />
        <LayerKeyView layer={layer} />
        <label className="field">
          <span>{strings.result.opacity}</span>
          <input type="range" min={0} max={1} step={0.05} value={opacity} onChange={(event) => set({ opacity: Number(event.target.value) })} />
        </label>
        <div className="row">
          <button type="button" className={`button grow ${swipe === "on" ? "button-on" : ""}`} aria-pressed={swipe === "on"} onClick={() => set({ swipe: swipe === "on" ? "off" : "on" })}>
            <Icon name="swipe" /> {strings.result.swipe}
          </button>
          {bounds && <button type="button" className="button grow" onClick={() => map?.fitBounds(bounds as [number, number, number, number], { padding: paddingOf() })}><Icon name="view" /> {strings.result.fit}</button>}
        </div>
      </section>
      <Inspector result={result} />
      <AreasTable result={result} />
      <YearsChart result={result} />
      <DriftCard drift={result.drift} />
      <Downloads result={result} />
    </div>
  );
}
