import { useState } from "react";
import { chosenBaseline } from "@/baseline/catalog";
import { useBaselines } from "@/baseline/store";
import { Icon } from "@/kit/Icon";
import { DYNAMIC_WORLD, inPalette } from "@/legend/dynamicWorld";
import { day, hectares, strings } from "@/strings";
import { useView } from "@/view/store";
import { LegendRow } from "./LegendRow";
import { useClassHere } from "./useClassHere";
import { useCounts } from "./useCounts";

const NARROW = window.matchMedia("(width < 720px)");

/** The classes with their colours, their areas in view, and the one at the point clicked. */
export function Legend() {
  const [open, setOpen] = useState(!NARROW.matches);
  const { baselines, painted } = useBaselines();
  const palette = useView((view) => view.palette);
  const baseline = useView((view) => chosenBaseline(baselines, painted ?? view.year));
  const counts = useCounts(baseline);
  const here = useClassHere(baseline);
  if (baseline === undefined) return null;
  const classes = inPalette(DYNAMIC_WORLD, palette);
  const found = here === undefined ? undefined : classes.find((one) => one.code === here.code);
  return (
    <section className="card legend" aria-label={strings.baselines.legend}>
      <button type="button" className="legend-head" aria-expanded={open} onClick={() => setOpen(!open)}>
        <span className="grow">{strings.baselines.legend} <small>{baseline.year}{open && counts && ` · ${strings.baselines.inView}`}</small></span>
        <Icon name={open ? "up" : "down"} />
      </button>
      {open && (
        <div className="legend-body" tabIndex={-1}>
          <ul>
            {classes.map((one) => <LegendRow key={one.code} entry={one} counts={counts} here={found === one} />)}
          </ul>
          {counts && counts.unmapped > counts.mapped * 0.001 && counts.mapped > 0 && (
            <p className="hint row"><span className="grow">{strings.baselines.unmapped}</span>{hectares(counts.unmapped)}</p>
          )}
          <p className="hint" aria-live="polite">
            {here === undefined ? strings.baselines.hint : `${strings.baselines.at}: ${found?.name ?? strings.baselines.nothing}`}
          </p>
          {baseline.partialFrom !== "" && <p className="hint">* {strings.baselines.partialLong(baseline.year, day(baseline.partialFrom))}</p>}
        </div>
      )}
    </section>
  );
}
