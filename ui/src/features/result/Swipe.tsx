import { useEffect, useRef, useState } from "react";
import { useBaselines } from "@/baseline/store";
import { useJob } from "@/job/store";
import { useMap } from "@/map/context";
import { strings } from "@/strings";
import { useView } from "@/view/store";
import { layerName } from "./layers";

/** A second map that shows the baseline alone, left of a line that is dragged or moved by keys. */
export function Swipe() {
  const map = useMap();
  const on = useView((view) => view.swipe === "on");
  const result = useJob((state) => state.result);
  const frame = useRef<HTMLDivElement>(null);
  const [share, setShare] = useState(0.6);
  const year = useBaselines((state) => state.painted);
  const layer = useView((view) => view.layer);
  const running = on && map !== null && result !== null;
  useEffect(() => {
    if (!running || frame.current === null) return undefined;
    const container = frame.current;
    let stop: (() => void) | undefined;
    let left = false;
    void import("./twin").then(({ startTwin }) => {
      if (!left) stop = startTwin(map, container);
    });
    return () => {
      left = true;
      stop?.();
    };
  }, [map, running]);
  if (!running) return null;
  return (
    <>
      <div className="twin" style={{ clipPath: `inset(0 ${(1 - share) * 100}% 0 0)` }} aria-hidden="true"><div ref={frame} className="map" /></div>
      <div className="swipe-line" style={{ left: `${share * 100}%` }} aria-hidden="true">
        {year !== null && <span className="swipe-side swipe-left">{strings.result.swipeLeft(year)}</span>}
        <span className="swipe-side swipe-right">{layerName(layer)}</span>
      </div>
      <input type="range" className="swipe-handle" aria-label={strings.result.swipeHandle} min={0} max={1} step={0.01} value={share} onChange={(event) => setShare(Number(event.target.value))} />
    </>
  );
}
