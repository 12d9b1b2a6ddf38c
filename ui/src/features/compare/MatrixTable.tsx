import type { Schemas } from "@/api/client";
import { useFetched } from "@/api/useFetched";
import { useMap } from "@/map/context";
import { ask } from "@/raster/client";
import { boundsHectares, type Bounds } from "@/raster/lattice";
import { hectares, strings } from "@/strings";
import { Grid } from "./Grid";
import { changesOf } from "./changes";

interface Props {
  readonly result: Schemas["ResultView"];
  readonly next: Schemas["ResultView"];
}

const MOST = 12;

/** The largest changes between two maps, over the area of the one that is shown. */
export function MatrixTable({ result, next }: Props) {
  const map = useMap();
  const bounds = (next.layers["map"]?.tilejson.bounds ?? map?.getBounds().toArray().flat() ?? []) as unknown as Bounds;
  const found = useFetched(`${result.job} ${next.job}`, async (signal) => {
    const [href = "", other = ""] = [result, next].map((one) => new URL(one.layers["map"]?.href ?? "", document.baseURI).href);
    return changesOf(await ask<"matrix">({ kind: "matrix", href, other, bounds }, signal), result.areas, next.areas, boundsHectares(bounds));
  });
  if (found.data === undefined) return <p className="row hint"><span className="spinner" />{strings.baselines.counting}</p>;
  return (
    <div className="stack stack-tight">
      <h3>{strings.compare.change}</h3>
      <p className="hint">{Number.isFinite(found.data.same) && strings.compare.same(found.data.same)} · {strings.compare.layer}</p>
      <table className="table">
        <thead><tr><th scope="col">{strings.compare.from}</th><th scope="col">{strings.compare.to}</th><th scope="col" className="number">{strings.area.size}</th></tr></thead>
        <tbody>
          {found.data.changes.slice(0, MOST).map(({ from, to, hectares: area }) => (
            <tr key={`${from.code}-${to.code}`}>
              <td><span className="row"><span className="swatch" style={{ background: `#${from.colour}` }} />{from.name}</span></td>
              <td><span className="row"><span className="swatch" style={{ background: `#${to.colour}` }} />{to.name}</span></td>
              <td className="number">{hectares(area)}</td>
            </tr>
          ))}
        </tbody>
      </table>
      <details>
        <summary>{strings.compare.matrix}</summary>
        <Grid before={result.areas} after={next.areas} found={found.data} />
      </details>
    </div>
  );
}
