import { useState } from "react";
import { answered, api, type Schemas } from "@/api/client";
import { isOver } from "@/job/follow";
import { followAgain, useJob } from "@/job/store";
import { Icon } from "@/kit/Icon";
import { Trouble } from "@/kit/Trouble";
import { strings } from "@/strings";

type Job = Schemas["JobView"];

/** What its owner can do with a job. */
export function Actions({ job }: { readonly job: Job }) {
  const [refused, setRefused] = useState<Error | null>(null);
  const path = { params: { path: { job: job.id } } };
  const run = (act: Promise<Job>, then?: () => void) => {
    act.then((next) => {
      setRefused(null);
      useJob.setState({ job: next });
      then?.();
    }, (error: unknown) => setRefused(error instanceof Error ? error : new Error(String(error))));
  };
  const cancel = () => run(answered(api.POST("/api/v1/jobs/{job}/cancel", path)));
  const retry = () => run(answered(api.POST("/api/v1/jobs/{job}/retry", path)), followAgain);
  return (
    <>
      {job.phase !== "succeeded" && <div className="row row-wrap">
        {!isOver(job.phase) && <button type="button" className="button button-bad" disabled={job.cancelling} onClick={cancel}>{job.cancelling ? strings.job.cancelling : strings.job.cancel}</button>}
        {isOver(job.phase) && <button type="button" className="button" onClick={retry}><Icon name="again" /> {(job.tiles?.failed ?? 0) > 0 ? strings.job.retry : strings.job.again}</button>}
      </div>}
      {refused !== null && <Trouble error={refused} />}
    </>
  );
}
