import { answered, api } from "@/api/client";
import { useFetched } from "@/api/useFetched";
import { fetchResult } from "@/job/follow";
import { isPublished } from "@/job/follow";
import { useJob } from "@/job/store";
import { Note } from "@/kit/Note";
import { strings } from "@/strings";
import { useView } from "@/view/store";
import { ChangeLayer } from "./ChangeLayer";
import { MatrixTable } from "./MatrixTable";

/** Another map beside the one that is shown: what changed between them, as a table and on the map. */
export function ComparePanel() {
  const result = useJob((state) => state.result);
  const { other, set } = useView();
  const jobs = useFetched(result?.job ?? null, (signal) => answered(api.GET("/api/v1/jobs", { params: { query: { limit: 100 } }, signal })));
  const second = useFetched(other, (signal) => fetchResult(other ?? "", signal));
  const choices = jobs.data?.items.filter(({ id, phase }) => id !== result?.job && isPublished(phase)) ?? [];
  if (result === null || choices.length === 0) return null;
  return (
    <section className="stack" aria-label={strings.compare.title}>
      <label className="field">
        <span>{strings.history.compare}</span>
        <select className="input" value={other ?? ""} onChange={(event) => set({ other: event.target.value || null })}>
          <option value="">–</option>
          {choices.map(({ id, name, season }) => <option key={id} value={id}>{name || id}{season && ` · ${season.start.slice(0, 7)}`}</option>)}
        </select>
      </label>
      {second.error && <Note tone="bad">{second.error.message}</Note>}
      {other !== null && second.data && (
        <>
          <ChangeLayer result={second.data} next={result} />
          <MatrixTable result={second.data} next={result} />
        </>
      )}
    </section>
  );
}
