import { useMemo } from "react";
import { isOfLength, presets, seasonFrom, seasonUntil, spell, type Season } from "@/season/presets";
import { count, strings } from "@/strings";

interface Props {
  readonly season: Season;
  /** What the model was trained for. */
  readonly days: number | null;
  readonly onChange: (season: Season) => void;
}

/** A season by its name, or by its first or last day: a model wants seasons of the length that it was trained for. */
export function SeasonField({ season, days, onChange }: Props) {
  const all = useMemo(() => presets(new Date().toISOString().slice(0, 10), 6), []);
  const fitting = all.filter((one) => days === null || isOfLength(one, days));
  const known = fitting.find((one) => spell(one) === spell(season));
  return (
    <fieldset className="field plain-field">
      <legend className="label">{strings.order.season}</legend>
      {fitting.length > 0 && (
        <select className="input" aria-label={strings.order.season} value={known ? spell(known) : ""} onChange={(event) => choose(fitting.find((one) => spell(one) === event.target.value))}>
          {!known && <option value="">{strings.order.ownSeason}</option>}
          {fitting.map((one) => <option key={spell(one)} value={spell(one)}>{strings.order.presets[one.kind](one.year)}</option>)}
        </select>
      )}
      <div className="row">
        <label className="field grow"><span>{strings.order.start}</span>
          <input type="date" className="input" value={season.start} onChange={(event) => choose(startingOn(event.target.value))} />
        </label>
        <label className="field grow"><span>{strings.order.end}</span>
          <input type="date" className="input" value={season.end} min={days === null ? season.start : undefined} onChange={(event) => choose(endingOn(event.target.value))} />
        </label>
      </div>
      <p className="hint">{days === null ? strings.order.presetHint : strings.order.lengthHint(count(days))}</p>
    </fieldset>
  );

  function startingOn(start: string): Season | undefined {
    if (start === "") return undefined;
    return days === null ? { ...season, start } : seasonFrom(start, days);
  }

  function endingOn(end: string): Season | undefined {
    if (end === "") return undefined;
    return days === null ? { ...season, end } : seasonUntil(end, days);
  }

  function choose(next: Season | undefined): void {
    if (next && next.start !== "" && next.end !== "") onChange({ start: next.start, end: next.end });
  }
}
