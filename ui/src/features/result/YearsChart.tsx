import type { Schemas } from "@/api/client";
import { inPalette } from "@/legend/dynamicWorld";
import { hectares, strings } from "@/strings";
import { useView } from "@/view/store";
import { coversOf, type Cover } from "./history";
import { useYears } from "./useYears";

const [WIDTH, HEIGHT] = [148, 34];

/** For each cover the baseline years as bars, and the map's own area as a line across them. */
export function YearsChart({ result }: { readonly result: Schemas["ResultView"] }) {
  const years = useYears(result.job);
  const palette = useView((view) => view.palette);
  if (years === undefined || years.length === 0) return null;
  const covers = coversOf(result.areas, years);
  const most = Math.max(...covers.flatMap((one) => [one.mapped, ...one.years.map((year) => year.hectares)]));
  const colours = new Map(inPalette(covers.map(({ cover }) => cover), palette).map(({ code, colour }) => [code, colour]));
  return (
    <section className="stack stack-tight" aria-label={strings.result.chart}>
      <h3>{strings.result.chart}</h3>
      <p className="hint">{strings.result.chartHint(years[0]?.year ?? 0, years.at(-1)?.year ?? 0)}</p>
      <ul className="stack stack-tight">
        {covers.map((one) => <Row key={one.cover.code} {...one} colour={colours.get(one.cover.code) ?? one.cover.colour} most={most} />)}
      </ul>
    </section>
  );
}

function Row({ cover, years, mapped, classes, colour, most }: Cover & { readonly colour: string; readonly most: number }) {
  const height = (value: number) => (most > 0 ? (value / most) * (HEIGHT - 3) : 0);
  const step = WIDTH / years.length;
  const line = HEIGHT - 0.5 - height(mapped);
  const spoken = years.map(({ year, hectares: area }) => `${year}: ${hectares(area)}`).join("; ");
  return (
    <li className="chart-row">
      <span className="chart-name">
        <span>{cover.name}</span>
        <span className="hint clip" title={classes.join(", ")}>{classes.length > 0 ? classes.join(", ") : strings.result.notMapped}</span>
      </span>
      <svg viewBox={`0 0 ${WIDTH} ${HEIGHT}`} width={WIDTH} height={HEIGHT} role="img" aria-label={`${cover.name}: ${strings.result.inMap} ${hectares(mapped)}; ${spoken}`}>
        <path d={`M0 ${HEIGHT - 0.5}H${WIDTH}`} stroke="var(--line)" />
        {years.map(({ year, hectares: area }, i) => (
          <rect key={year} x={i * step + 1} y={HEIGHT - 0.5 - height(area)} width={Math.max(2, step - 2.5)} height={height(area)} rx={1} fill={`#${colour}`}>
            <title>{`${year}: ${hectares(area)}`}</title>
          </rect>
        ))}
        <path d={`M0 ${line}H${WIDTH}`} stroke="var(--ink)" strokeWidth="1.5" strokeDasharray="3 2" />
      </svg>
      <span className="number">{hectares(mapped)}</span>
    </li>
  );
}
