import type { Schemas } from "@/api/client";
import { inPalette } from "@/legend/dynamicWorld";
import { count, hectares, percent, strings } from "@/strings";
import { useView } from "@/view/store";

/** Legend and areas in one; with intervals where the map was assessed. */
export function AreasTable({ result }: { readonly result: Schemas["ResultView"] }) {
  const palette = useView((view) => view.palette);
  const classes = inPalette(result.areas, palette);
  const assessed = result.areas.some((one) => one.interval_hectares);
  const mapped = Number(result.coverage["share"] ?? result.coverage["mapped"] ?? Number.NaN);
  return (
    <section className="stack stack-tight" aria-label={strings.result.areas}>
      <h3>{strings.result.areas}</h3>
      <table className="table">
        <thead>
          <tr>
            <th scope="col">{strings.result.class}</th>
            <th scope="col" className="number">{strings.result.counted}</th>
            {assessed && <th scope="col" className="number">{strings.result.adjusted}</th>}
          </tr>
        </thead>
        <tbody>
          {result.areas.map((one, index) => (
            <tr key={one.code}>
              <td><span className="row"><span className="swatch" style={{ background: `#${classes[index]?.colour ?? one.colour}` }} />{one.name}</span></td>
              <td className="number" title={percent(one.share)}>{hectares(one.hectares).replace(" ha", "")}</td>
              {assessed && <td className="number">{interval(one)}</td>}
            </tr>
          ))}
        </tbody>
      </table>
      {Number.isFinite(mapped) && <p className="hint">{strings.result.coverage(mapped)}</p>}
    </section>
  );
}

function interval({ adjusted_hectares: middle, interval_hectares: range }: Schemas["ClassArea"]): string {
  const [low, high] = range ?? [];
  if (middle === null || middle === undefined || low === undefined || high === undefined) return "";
  return `${count(middle)} (${count(low)}–${count(high)})`;
}
