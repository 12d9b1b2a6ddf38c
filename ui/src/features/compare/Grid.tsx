import type { Schemas } from "@/api/client";
import { count, hectares, strings } from "@/strings";
import type { Changes } from "./changes";

type Class = Schemas["ClassArea"];

interface Props {
  readonly before: readonly Class[];
  readonly after: readonly Class[];
  readonly found: Changes;
}

/** The whole change matrix in hectares: rows are the earlier map's classes, columns the later one's. */
export function Grid({ before, after, found }: Props) {
  const cell = (from: Class, to: Class) => found.cells.get(`${from.code} ${to.code}`) ?? 0;
  const rows = before.filter((from) => after.some((to) => cell(from, to) > 0));
  const columns = after.filter((to) => before.some((from) => cell(from, to) > 0));
  const most = Math.max(...found.cells.values(), 1e-9);
  return (
    // A table that scrolls has to be reached by keys.
    // eslint-disable-next-line jsx-a11y/no-noninteractive-tabindex
    <div className="scroll-x" tabIndex={0} role="region" aria-label={strings.compare.matrix}>
      <table className="table matrix">
        <thead>
          <tr><td />{columns.map((to) => <th key={to.code} scope="col"><span className="swatch" style={{ background: `#${to.colour}` }} /> {to.name}</th>)}</tr>
        </thead>
        <tbody>
          {rows.map((from) => (
            <tr key={from.code}>
              <th scope="row"><span className="row"><span className="swatch" style={{ background: `#${from.colour}` }} />{from.name}</span></th>
              {columns.map((to) => (
                <td key={to.code} className="number" title={`${from.name} → ${to.name}: ${hectares(cell(from, to))}`} style={{ background: shade(cell(from, to) / most, from.name === to.name) }}>
                  {cell(from, to) > 0 ? count(cell(from, to)) : "·"}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

/** What stayed is quiet, what changed is marked. */
function shade(share: number, same: boolean): string {
  return `color-mix(in oklab, var(${same ? "--accent-soft" : "--bad-soft"}) ${Math.round(Math.min(1, share * 2) * 100)}%, transparent)`;
}
