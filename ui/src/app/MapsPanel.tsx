import { ComparePanel } from "@/features/compare";
import { HistoryPanel } from "@/features/history";
import { JobPanel } from "@/features/job";
import { ResultPanel } from "@/features/result";
import { useView } from "@/view/store";

/** One map when one is chosen, else all of them. */
export default function MapsPanel() {
  const job = useView((view) => view.job);
  if (job === null) return <HistoryPanel />;
  return (
    <div className="stack stack-wide">
      <JobPanel />
      <ResultPanel />
      <ComparePanel />
    </div>
  );
}
