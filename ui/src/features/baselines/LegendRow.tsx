import type { MapClass } from "@/legend/dynamicWorld";
import { hectares } from "@/strings";
import type { InView } from "./useCounts";

interface Props {
  readonly entry: MapClass;
  readonly counts: InView | undefined;
  readonly here: boolean;
}

export function LegendRow({ entry: { code, name, colour }, counts, here }: Props) {
  const area = counts?.byCode[code] ?? 0;
  const share = counts && counts.mapped > 0 ? area / counts.mapped : 0;
  return (
    <li className="legend-row" data-here={here} data-absent={counts !== undefined && area === 0}>
      <span className="swatch" style={{ background: `#${colour}` }} />
      <span>{name}</span>
      <span>{counts && area > 0 ? hectares(area) : ""}</span>
      {counts && area > 0 && (
        <span className="share"><span style={{ width: `${share * 100}%`, background: `#${colour}` }} /></span>
      )}
    </li>
  );
}
