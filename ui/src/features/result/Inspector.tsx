import type { Schemas } from "@/api/client";
import { useBaselines } from "@/baseline/store";
import { DYNAMIC_WORLD, inPalette, type MapClass } from "@/legend/dynamicWorld";
import { percent, strings } from "@/strings";
import { useView } from "@/view/store";
import { usePixel } from "./usePixel";

/** What the map, its confidence and every baseline year say of the point clicked last. */
export function Inspector({ result }: { readonly result: Schemas["ResultView"] }) {
  const palette = useView((view) => view.palette);
  const baselines = useBaselines((state) => state.baselines);
  const pixel = usePixel(result, baselines);
  const found = result.areas.find((one) => one.code === pixel?.code);
  const known = inPalette(DYNAMIC_WORLD, palette);
  return (
    <section className="stack stack-tight" aria-label={strings.result.inspector} aria-live="polite">
      <h3>{strings.result.inspector}</h3>
      {pixel === undefined ? <p className="hint">{strings.baselines.hint}</p> : (
        <>
          <p>
            <strong>{found?.name ?? strings.baselines.nothing}</strong>
            {pixel.confidence !== null && ` · ${percent(pixel.confidence / 100)} ${strings.result.confidence}`}
          </p>
          <ol className="strip" aria-label={strings.baselines.history}>
            {pixel.years.map(({ year, code }) => <Year key={year} year={year} entry={known.find((one) => one.code === code)} />)}
          </ol>
        </>
      )}
    </section>
  );
}

function Year({ year, entry }: { readonly year: number; readonly entry: MapClass | undefined }) {
  const name = entry?.name ?? strings.baselines.nothing;
  return (
    <li title={`${year}: ${name}`}>
      <span className="strip-cell" style={{ background: entry ? `#${entry.colour}` : "transparent" }} />
      <span aria-hidden="true">’{String(year % 100).padStart(2, "0")}</span>
      <span className="visually-hidden">{year}: {name}</span>
    </li>
  );
}
