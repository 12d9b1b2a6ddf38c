import { useState } from "react";
import { answered, api, type Schemas } from "@/api/client";
import { useFetched } from "@/api/useFetched";
import { Note } from "@/kit/Note";
import { Trouble } from "@/kit/Trouble";
import { Segments } from "@/kit/Segments";
import { strings } from "@/strings";
import { JobRow } from "./JobRow";

type Filter = "all" | "running" | "done" | "failed";
type Phase = Schemas["JobView"]["phase"];

const PHASES: Record<Filter, readonly Phase[]> = {
  all: [],
  running: ["queued", "running"],
  done: ["succeeded", "partial"],
  failed: ["failed", "cancelled"],
};
const FILTERS = (["all", "running", "done", "failed"] as const).map((value) => ({ value, label: strings.history[value] }));

/** All maps of this owner, the newest first. */
export function HistoryPanel() {
  const [filter, setFilter] = useState<Filter>("all");
  const [limit, setLimit] = useState(20);
  const jobs = useFetched(`${limit}`, (signal) => answered(api.GET("/api/v1/jobs", { params: { query: { limit } }, signal })));
  const items = jobs.data?.items.filter(({ phase }) => filter === "all" || PHASES[filter].includes(phase)) ?? [];
  return (
    <div className="stack">
      <h2>{strings.history.title}</h2>
      <Segments label={strings.history.title} value={filter} options={FILTERS} onChange={setFilter} />
      {jobs.error && <Trouble error={jobs.error} retry={jobs.again} />}
      {jobs.data?.items.length === 0 && <Note tone="plain"><strong>{strings.history.none}.</strong> {strings.history.noneHint}</Note>}
      <ul className="quiet-list">
        {items.map((job) => <li key={job.id}><JobRow job={job} /></li>)}
      </ul>
      {jobs.data?.next && <button type="button" className="button" onClick={() => setLimit(limit + 40)}>{strings.history.more}</button>}
    </div>
  );
}
