import type { Schemas } from "@/api/client";
import type { Season } from "@/season/presets";
import { day, percent, strings } from "@/strings";

const [WIDTH, HEIGHT] = [340, 48];

interface Props {
  readonly days: readonly Schemas["SceneDay"][];
  readonly season: Season;
}

/** A bar for each day with scenes, as high as the share that is free of cloud. */
export function DaysChart({ days, season }: Props) {
  const [start, end] = [Date.parse(season.start), Date.parse(season.end)];
  const place = (date: string) => ((Date.parse(date) - start) / Math.max(1, end - start)) * (WIDTH - 4);
  return (
    <figure className="stack stack-tight">
      <figcaption className="hint">{strings.order.days}</figcaption>
      <svg viewBox={`0 0 ${WIDTH} ${HEIGHT}`} role="img" aria-label={`${strings.order.days}: ${days.map(label).join("; ")}`}>
        <path d={`M0 ${HEIGHT - 0.5}H${WIDTH}`} stroke="var(--line-strong)" />
        {days.map((one) => {
          const height = Math.max(2, (one.cloud_free ?? 0.5) * (HEIGHT - 4));
          const fill = one.cloud_free === null ? "var(--line-strong)" : "var(--accent)";
          return <rect key={one.date} x={place(one.date)} y={HEIGHT - 1 - height} width={3.5} height={height} rx={1} fill={fill}><title>{label(one)}</title></rect>;
        })}
      </svg>
    </figure>
  );
}

function label({ date, cloud_free: share }: Schemas["SceneDay"]): string {
  return strings.order.dayLabel(day(date), share === null ? strings.order.unknownShare : percent(share));
}
