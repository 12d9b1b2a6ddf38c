import type { Schemas } from "@/api/client";
import { useJob } from "@/job/store";
import { duration, strings } from "@/strings";

/** How far a job is. */
export function Progress({ job }: { readonly job: Schemas["JobView"] }) {
  const { succeeded: done = 0, failed = 0, total = 0 } = useJob((state) => state.counts) ?? job.tiles ?? {};
  const left = job.phase === "queued" && job.queue ? strings.job.ahead(job.queue.jobs_ahead) : leftText(job, total, total - done - failed);
  return (
    <div className="stack stack-tight">
      <div className="bar" role="progressbar" aria-label={strings.job.title} aria-valuemin={0} aria-valuemax={total} aria-valuenow={done + failed}>
        <span style={{ width: `${total > 0 ? ((done + failed) / total) * 100 : 0}%` }} />
      </div>
      <p className="row hint">
        <span className="grow">{total > 0 ? strings.job.tiles(done, total) : strings.job.phases[job.phase]}{failed > 0 && `, ${strings.job.failedTiles(failed)}`}</span>
        <span>{left}</span>
      </p>
    </div>
  );
}

function leftText(job: Schemas["JobView"], total: number, open: number): string {
  if (total === 0) return strings.job.planning;
  if (open === 0) return strings.job.finishing;
  return job.seconds_left === null || job.seconds_left === undefined ? strings.job.leftUnknown : strings.job.left(duration(job.seconds_left));
}
