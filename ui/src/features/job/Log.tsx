import { useEffect, useRef, useState } from "react";
import { answered, api } from "@/api/client";
import { useFetched } from "@/api/useFetched";
import { useJob } from "@/job/store";
import { IconButton } from "@/kit/IconButton";
import { strings } from "@/strings";
import { parseLog } from "./parseLog";

const AGAIN_MS = 3_000;

/** What the steps of a job say, or those of one tile, the newest at the end; asked for again while it runs and is open. */
export function Log({ job, live }: { readonly job: string; readonly live: boolean }) {
  const [open, setOpen] = useState(false);
  const tile = useJob((state) => state.tile) ?? "";
  const { data, again } = useFetched(open ? `${job} ${tile}` : null, (signal) => {
    return answered(api.GET("/api/v1/jobs/{job}/logs", { params: { path: { job }, query: { tile } }, parseAs: "text", signal }));
  });
  useEffect(() => {
    if (!open || !live) return undefined;
    const timer = setInterval(again, AGAIN_MS);
    return () => clearInterval(timer);
  }, [open, live, again]);
  const lines = parseLog(data ?? "");
  const end = useRef<HTMLOListElement>(null);
  useEffect(() => {
    if (end.current !== null) end.current.scrollTop = end.current.scrollHeight;
  }, [lines.length]);
  return (
    <details open={open} onToggle={(event) => setOpen(event.currentTarget.open)}>
      <summary>{tile === "" ? strings.job.logs : strings.job.logsOf(tile)}</summary>
      {tile === "" ? <p className="hint">{strings.job.logsHint}</p> : (
        <p className="row hint"><span className="grow">{strings.job.tile(tile)}</span><IconButton icon="close" className="button-plain" label={strings.job.logsAll} onClick={() => useJob.setState({ tile: null })} /></p>
      )}
      {/* A log that scrolls has to be reached by keys. */}
      {/* eslint-disable-next-line jsx-a11y/no-noninteractive-tabindex */}
      <ol className="log" ref={end} aria-label={strings.job.logs} tabIndex={0}>
        {lines.map(({ key, level, text }) => <li key={key} data-level={level}>{text}</li>)}
        {data !== undefined && lines.length === 0 && <li>{strings.job.noLogs}</li>}
      </ol>
    </details>
  );
}

