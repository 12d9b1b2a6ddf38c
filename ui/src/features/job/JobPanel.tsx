import { useShallow } from "zustand/react/shallow";
import { useSession } from "@/api/session";
import { isOver, isPublished } from "@/job/follow";
import { useJob } from "@/job/store";
import { Icon } from "@/kit/Icon";
import { Note } from "@/kit/Note";
import { Trouble } from "@/kit/Trouble";
import { strings } from "@/strings";
import { useView } from "@/view/store";
import { Actions } from "./Actions";
import { JobHead } from "./JobHead";
import { Log } from "./Log";
import { Progress } from "./Progress";
import { Share } from "./Share";
import { TileHere } from "./TileHere";

/** A job: where it stands, and what can be done about it. */
export function JobPanel() {
  const { job, connected, error } = useJob(useShallow(({ job, connected, error }) => ({ job, connected, error })));
  const owner = useView((view) => view.link === null);
  const signedIn = useSession((session) => session.signIn === "" || session.owner !== "");
  if (job === null) {
    return (
      <div className="stack">
        {owner && <Back />}
        {error ? <Trouble error={error} /> : <p className="row hint"><span className="spinner" />{strings.app.loading}</p>}
      </div>
    );
  }
  return (
    <div className="stack">
      {owner ? <div className="row row-wrap"><span className="grow"><Back /></span>{signedIn && <Share job={job.id} />}</div> : <Note tone="plain">{strings.job.readOnly}</Note>}
      <JobHead job={job} />
      {!connected && !isOver(job.phase) && <Note tone="warn">{strings.job.reconnecting}</Note>}
      {!isOver(job.phase) && <Progress job={job} />}
      <TileHere />
      {job.error !== "" && <Note tone={job.phase === "partial" ? "warn" : "bad"}>{job.error}</Note>}
      {owner && signedIn && <Actions job={job} />}
      {!isPublished(job.phase) && <Log job={job.id} live={!isOver(job.phase)} />}
    </div>
  );
}

function Back() {
  const set = useView((view) => view.set);
  return (
    <button type="button" className="button button-plain button-back" onClick={() => set({ job: null, other: null, layer: "map", swipe: "off" })}>
      <Icon name="back" /> {strings.job.back}
    </button>
  );
}
