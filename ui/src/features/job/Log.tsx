import { useEffect, useState } from "react";
import { answered, api } from "@/api/client";
import { useFetched } from "@/api/useFetched";
import { parseLog } from "./parseLog";
import { strings } from "@/strings";

const AGAIN_MS = 3_000;

/** What the steps of a job say, the newest at the end; asked for again while it runs and is open. */
export function Log({ job, live }: { readonly job: string; readonly live: boolean }) {
  const [open, setOpen] = useState(false);
  const { data, again } = useFetched(open ? job : null, (signal) => answered(api.GET("/api/v1/jobs/{job}/logs", { params: { path: { job } }, parseAs: "text", signal })));
  useEffect(() => {
    if (!open || !live) return undefined;
    const timer = setInterval(again, AGAIN_MS);
    return () => clearInterval(timer);
  }, [open, live, again]);
  const lines = parseLog(data ?? "");
  return (
    <details open={open} onToggle={(event) => setOpen(event.currentTarget.open)}>
      <summary>{strings.job.logs}</summary>
      <ol className="log" aria-label={strings.job.logs}>
        {lines.map(({ key, level, text }) => <li key={key} data-level={level}>{text}</li>)}
        {data !== undefined && lines.length === 0 && <li>{strings.job.noLogs}</li>}
      </ol>
    </details>
  );
}
