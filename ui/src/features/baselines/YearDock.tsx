import { useEffect, useEffectEvent, useState } from "react";
import { chosenBaseline, type Baseline } from "@/baseline/catalog";
import { useBaselines } from "@/baseline/store";
import { IconButton } from "@/kit/IconButton";
import { day, strings } from "@/strings";
import { useView } from "@/view/store";

const BEAT_MS = 1_100;

/** The years in a row: a slider under its own labels, and play. */
export function YearDock() {
  const { baselines, visible, painted, warm } = useBaselines();
  const chosen = useView((view) => chosenBaseline(baselines, view.year));
  const set = useView((view) => view.set);
  const [playing, setPlaying] = useState(false);
  const index = chosen ? baselines.indexOf(chosen) : 0;
  usePlay(playing && painted === chosen?.year, index, () => set({ year: baselines[(index + 1) % baselines.length]?.year ?? null }));
  if (chosen === undefined || baselines.length === 0) return null;
  const partial = chosen.partialFrom === "" ? "" : `, ${strings.baselines.partial(day(chosen.partialFrom))}`;
  return (
    <section className="card dock" aria-label={strings.baselines.title}>
      <IconButton icon={playing ? "pause" : "play"} label={playing ? strings.baselines.pause : strings.baselines.play} className="button-plain" onClick={() => setPlaying(!playing)} />
      <div className="dock-years">
        <input
          type="range"
          aria-label={strings.baselines.year}
          aria-valuetext={`${chosen.year}${partial}`}
          min={0}
          max={baselines.length - 1}
          step={1}
          value={index}
          onChange={(event) => set({ year: baselines[Number(event.target.value)]?.year ?? null })}
          onPointerDown={() => setPlaying(false)}
        />
        <div className="ticks" aria-hidden="true">
          {baselines.map((one) => <Tick key={one.year} baseline={one} chosen={one === chosen} painted={painted} isWarm={warm.has(one.year)} />)}
        </div>
      </div>
      <IconButton icon="eye" label={visible ? strings.baselines.hide : strings.baselines.show} aria-pressed={visible} className={visible ? "button-plain" : "button-on"} onClick={() => useBaselines.setState({ visible: !visible })} />
    </section>
  );
}

interface TickProps {
  readonly baseline: Baseline;
  readonly chosen: boolean;
  readonly painted: number | null;
  readonly isWarm: boolean;
}

function Tick({ baseline: { year, partialFrom }, chosen, painted, isWarm }: TickProps) {
  const shown = chosen && painted === year;
  return (
    <div className="tick" data-shown={shown} data-loading={chosen && !shown} data-warm={isWarm}>
      <span className="tick-long">{year}</span>
      <span className="tick-short">’{String(year % 100).padStart(2, "0")}</span>
      {partialFrom !== "" && <sup>*</sup>}
    </div>
  );
}

/** Goes on a beat after each year is painted, however often the page is rendered meanwhile. */
function usePlay(running: boolean, index: number, next: () => void): void {
  const goOn = useEffectEvent(next);
  useEffect(() => {
    if (!running) return undefined;
    const beat = setTimeout(() => goOn(), BEAT_MS);
    return () => clearTimeout(beat);
  }, [running, index]);
}
