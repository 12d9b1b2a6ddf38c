import type { Baseline } from "@/baseline/catalog";
import { strings } from "@/strings";
import type { Options } from "./order";

interface Props {
  readonly options: Options;
  readonly baselines: readonly Baseline[];
  readonly onChange: (options: Options) => void;
}

const PATCHES: readonly number[] = [0, 5, 10, 50];

/** What is rarely changed. */
export function OptionsField({ options, baselines, onChange }: Props) {
  return (
    <details>
      <summary>{strings.order.options}</summary>
      <div className="stack">
        <label className="field">
          <span>{strings.order.baseline}</span>
          <select className="input" value={options.baselineYear ?? ""} onChange={(event) => onChange({ ...options, baselineYear: Number(event.target.value) || null })}>
            <option value="">{strings.order.noBaseline}</option>
            {baselines.map(({ year }) => <option key={year} value={year}>{year}</option>)}
          </select>
        </label>
        <label className="field">
          <span>{strings.order.patches}</span>
          <select className="input" value={options.leastPatch} onChange={(event) => onChange({ ...options, leastPatch: Number(event.target.value) })}>
            {PATCHES.map((pixels) => <option key={pixels} value={pixels}>{pixels === 0 ? strings.order.patchesKept : strings.order.patchOf(pixels)}</option>)}
          </select>
        </label>
        <label className="row">
          <input type="checkbox" checked={options.probabilities} onChange={(event) => onChange({ ...options, probabilities: event.target.checked })} />
          <span>{strings.order.probabilities}</span>
        </label>
      </div>
    </details>
  );
}
