import { useEffect } from "react";
import { watchJob } from "@/job/store";
import { useView } from "@/view/store";

/** Follows the job of the view, whatever panel is open. */
export function WatchedJob() {
  const job = useView((view) => view.job);
  useEffect(() => (job === null ? undefined : watchJob(job)), [job]);
  return null;
}
