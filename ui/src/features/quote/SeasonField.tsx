import { useMemo } from "react";
import { presets, spell, type Season } from "@/season/presets";
import { strings } from "@/strings";

interface Props {
  readonly season: Season;
  readonly onChange: (season: Season) => void;
}

/** A season by its name, or by two days. */
export function SeasonField({ season, onChange }: Props) {
  const all = useMemo(() => presets(new Date().toISOString().slice(0, 10), 6), []);
  const known = all.find((one) => spell(one) === spell(season));
  return (
    <fieldset className="field" style={{ border: 0, padding: 0, margin: 0 }}>
      <legend className="label">{strings.order.season}</legend>
      <select className="input" aria-label={strings.order.season} value={known ? spell(known) : ""} onChange={(event) => choose(all.find((one) => spell(one) === event.target.value))}>
        {!known && <option value="">{spell(season)}</option>}
        {all.map((one) => <option key={spell(one)} value={spell(one)}>{strings.order.presets[one.kind](one.year)}</option>)}
      </select>
      <div className="row">
        <label className="field grow"><span>{strings.order.start}</span>
          <input type="date" className="input" value={season.start} max={season.end} onChange={(event) => choose({ ...season, start: event.target.value })} />
        </label>
        <label className="field grow"><span>{strings.order.end}</span>
          <input type="date" className="input" value={season.end} min={season.start} onChange={(event) => choose({ ...season, end: event.target.value })} />
        </label>
      </div>
      <p className="hint">{strings.order.presetHint}</p>
    </fieldset>
  );

  function choose(next: Season | undefined): void {
    if (next && next.start !== "" && next.end !== "") onChange({ start: next.start, end: next.end });
  }
}
