import type { Schemas } from "@/api/client";
import { day, percent, strings } from "@/strings";

type Model = Schemas["ModelView"];

interface Props {
  readonly models: readonly Model[];
  readonly chosen: Model;
  readonly onChange: (model: string) => void;
}

/** The model to map with, and its card in short. */
export function ModelField({ models, chosen, onChange }: Props) {
  return (
    <div className="stack">
      <label className="field">
        <span>{strings.order.model}</span>
        <select className="input" value={`${chosen.name}/${chosen.version}`} onChange={(event) => onChange(event.target.value)}>
          {models.map((one) => (
            <option key={`${one.name}/${one.version}`} value={`${one.name}/${one.version}`}>
              {one.name} · {strings.order.version(one.version)}
            </option>
          ))}
        </select>
      </label>
      <p className="row row-wrap hint">
        <span className="badge badge-good">{chosen.score === null ? strings.order.unscored : `${strings.order.score} ${percent(chosen.score)}`}</span>
        {chosen.aliases.includes("champion") && <span className="badge">{strings.order.champion}</span>}
        <span>{strings.order.classes(chosen.classes.length)}</span>
        {chosen.registered && <span>{strings.order.trained(day(chosen.registered))}</span>}
      </p>
      <ul className="row row-wrap" aria-label={strings.order.classes(chosen.classes.length)}>
        {chosen.classes.map(({ code, name, colour }) => (
          <li key={code} className="row hint"><span className="swatch" style={{ background: `#${colour}` }} />{name}</li>
        ))}
      </ul>
    </div>
  );
}
