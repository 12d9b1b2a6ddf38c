import type { Schemas } from "@/api/client";
import { Note } from "@/kit/Note";
import { inPalette } from "@/legend/dynamicWorld";
import { day, percent, strings } from "@/strings";
import { useView } from "@/view/store";

type Model = Schemas["ModelView"];

interface Props {
  readonly models: readonly Model[];
  readonly chosen: Model;
  readonly onChange: (model: string) => void;
}

const TROUBLING = new Set(["caution", "do not trust"]);

/** The model to map with, and its card in short. */
export function ModelField({ models, chosen, onChange }: Props) {
  const palette = useView((view) => view.palette);
  const { name, version, score, split, drift, aliases, registered } = chosen;
  return (
    <div className="stack">
      <label className="field">
        <span>{strings.order.model}</span>
        <select className="input" value={`${name}/${version}`} onChange={(event) => onChange(event.target.value)}>
          {models.map((one) => (
            <option key={`${one.name}/${one.version}`} value={`${one.name}/${one.version}`}>
              {one.name} · {strings.order.version(one.version)}{one.score !== null && ` · ${percent(one.score)}`}
            </option>
          ))}
        </select>
      </label>
      <p className="row row-wrap hint">
        <span className="badge badge-good" title={strings.order.scoreHint}>{score === null ? strings.order.unscored : `${strings.order.score} ${percent(score)}`}</span>
        {aliases.includes("champion") && <span className="badge">{strings.order.champion}</span>}
        {registered && <span>{strings.order.trained(day(registered))}</span>}
        {score !== null && split && <span>{strings.order.heldOut(split)}</span>}
      </p>
      {TROUBLING.has(drift) && <Note tone="warn"><strong>{strings.order.drift}.</strong> {strings.order.driftHint(drift)}</Note>}
      <ul className="row row-wrap" aria-label={strings.order.classes(chosen.classes.length)}>
        {inPalette(chosen.classes, palette).map((one) => (
          <li key={one.code} className="row hint"><span className="swatch" style={{ background: `#${one.colour}` }} />{one.name}</li>
        ))}
      </ul>
    </div>
  );
}
