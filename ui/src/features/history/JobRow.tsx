import type { Schemas } from "@/api/client";
import { areaOf, day, strings } from "@/strings";
import { useView } from "@/view/store";
import { Thumbnail } from "./Thumbnail";

/** One map of the history. */
export function JobRow({ job }: { readonly job: Schemas["JobView"] }) {
  const set = useView((view) => view.set);
  const name = job.name || job.id;
  return (
    <button type="button" className="pick" aria-label={strings.history.open(name)} onClick={() => set({ job: job.id })}>
      <Thumbnail job={job} />
      <span className="grow">
        <strong className="clip" style={{ display: "block" }}>{name}</strong>
        <span className="hint">{day(job.created)} · {areaOf(job.area_km2)}</span>
      </span>
      <span className="badge">{strings.job.phases[job.phase]}</span>
    </button>
  );
}
