import { useEffect, useState } from "react";
import { useFetched } from "@/api/useFetched";
import { isOver } from "@/job/follow";
import { Note } from "@/kit/Note";
import { Segments } from "@/kit/Segments";
import { Trouble } from "@/kit/Trouble";
import { strings } from "@/strings";
import { JobRow } from "./JobRow";
import { listJobs, type Filter } from "./jobs";

const FILTERS = (["all", "running", "done", "failed"] as const).map((value) => ({ value, label: strings.history[value] }));
/** While a map is being made, its row is kept true. */
const AGAIN_MS = 5_000;

/** All maps of this owner, the newest first. */
export function HistoryPanel() {
  const [filter, setFilter] = useState<Filter>("all");
  const [limit, setLimit] = useState(20);
  const { data, error, again } = useFetched(`${filter} ${limit}`, (signal) => listJobs(filter, limit, signal));
  const underway = data?.items.some(({ phase }) => !isOver(phase)) ?? false;
  useEffect(() => {
    if (!underway) return undefined;
    const timer = setInterval(again, AGAIN_MS);
    return () => clearInterval(timer);
  }, [underway, again]);
  return (
    <div className="stack">
      <h2>{strings.history.title}</h2>
      <Segments label={strings.history.title} value={filter} options={FILTERS} onChange={setFilter} />
      {error && <Trouble error={error} retry={again} />}
      {filter === "all" && data?.items.length === 0 && <Note tone="plain"><strong>{strings.history.none}.</strong> {strings.history.noneHint}</Note>}
      <ul className="quiet-list">
        {data?.items.map((job) => <li key={job.id}><JobRow job={job} /></li>)}
      </ul>
      {data?.more === true && <button type="button" className="button" onClick={() => setLimit(limit + 40)}>{strings.history.more}</button>}
    </div>
  );
}
