import { ComparePanel } from "@/features/compare";
import { HistoryPanel } from "@/features/history";
import { JobPanel, Log } from "@/features/job";
import { ResultPanel } from "@/features/result";
import { isPublished } from "@/job/follow";
import { useJob } from "@/job/store";
import { useView } from "@/view/store";

/** One map when one is chosen, else all of them. */
export default function MapsPanel() {
  const job = useView((view) => view.job);
  const published = useJob((state) => state.job !== null && isPublished(state.job.phase));
  if (job === null) return <HistoryPanel />;
  return (
    <div className="stack stack-wide">
      <JobPanel />
      <ResultPanel />
      <ComparePanel />
      {published && <Log job={job} live={false} />}
    </div>
  );
}
