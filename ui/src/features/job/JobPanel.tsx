import { useState } from "react";
import { answered, api, type Schemas } from "@/api/client";
import { isOver } from "@/job/follow";
import { useJob } from "@/job/store";
import { Icon } from "@/kit/Icon";
import { Note } from "@/kit/Note";
import { strings } from "@/strings";
import { useView } from "@/view/store";
import { JobHead } from "./JobHead";
import { Log } from "./Log";
import { Progress } from "./Progress";
import { Share } from "./Share";

type Job = Schemas["JobView"];

/** A job: where it stands, and what can be done about it. */
export function JobPanel() {
  const { job, connected, error } = useJob();
  const set = useView((view) => view.set);
  const back = (
    <button type="button" className="button button-plain" style={{ alignSelf: "start" }} onClick={() => set({ job: null, other: null, layer: "map", swipe: "off" })}>
      <Icon name="back" /> {strings.job.back}
    </button>
  );
  if (job === null) {
    return <div className="stack">{back}{error ? <Note tone="bad">{error.message || strings.job.notFound}</Note> : <p className="row hint"><span className="spinner" />{strings.app.loading}</p>}</div>;
  }
  return (
    <div className="stack">
      {back}
      <JobHead job={job} />
      {!connected && !isOver(job.phase) && <Note tone="warn">{strings.job.reconnecting}</Note>}
      {!isOver(job.phase) && <Progress job={job} />}
      {job.error !== "" && <Note tone={job.phase === "partial" ? "warn" : "bad"}>{job.error}</Note>}
      <Actions job={job} />
      <Log job={job.id} live={!isOver(job.phase)} />
    </div>
  );
}

function Actions({ job }: { readonly job: Job }) {
  const [refused, setRefused] = useState("");
  const run = (act: Promise<Job>) => {
    act.then((next) => useJob.setState({ job: next }), (error: unknown) => setRefused(error instanceof Error ? error.message : strings.app.noApi));
  };
  const path = { params: { path: { job: job.id } } };
  const failed = job.tiles?.failed ?? 0;
  return (
    <>
      <div className="row row-wrap">
        {!isOver(job.phase) && <button type="button" className="button button-bad" disabled={job.cancelling} onClick={() => run(answered(api.POST("/api/v1/jobs/{job}/cancel", path)))}>{job.cancelling ? strings.job.cancelling : strings.job.cancel}</button>}
        {isOver(job.phase) && (failed > 0 || job.phase === "failed" || job.phase === "cancelled") && <button type="button" className="button" onClick={() => run(answered(api.POST("/api/v1/jobs/{job}/retry", path)))}>{strings.job.retry}</button>}
        <Share job={job.id} />
      </div>
      {refused !== "" && <Note tone="bad">{refused}</Note>}
    </>
  );
}
