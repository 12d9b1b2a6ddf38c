import type { Schemas } from "@/api/client";
import { areaOf, day, strings } from "@/strings";

const TONES = { queued: "", running: "badge-warn", succeeded: "badge-good", partial: "badge-warn", failed: "badge-bad", cancelled: "" } as const;

/** What was ordered, and the phase. */
export function JobHead({ job }: { readonly job: Schemas["JobView"] }) {
  return (
    <div className="stack stack-tight">
      <div className="row">
        <h2 className="grow clip">{job.name || job.id}</h2>
        <span className={`badge ${TONES[job.phase]}`} role="status">{job.cancelling ? strings.job.cancelling : strings.job.phases[job.phase]}</span>
      </div>
      <p className="hint">
        {job.season && `${day(job.season.start)} – ${day(job.season.end)}`}
        {job.model && ` · ${job.model.name} ${strings.order.version(job.model.version)}`}
        {job.area_km2 > 0 && ` · ${areaOf(job.area_km2)}`}
      </p>
    </div>
  );
}
