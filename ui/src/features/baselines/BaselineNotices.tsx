import { useBaselines } from "@/baseline/store";
import { Note } from "@/kit/Note";
import { strings } from "@/strings";
import { useView } from "@/view/store";

/** What is wrong with the baselines, and what to do. */
export function BaselineNotices() {
  const { status, baselines, failed, load } = useBaselines();
  const year = useView((view) => view.year);
  const again = <button type="button" className="button" onClick={() => void load()}>{strings.app.retry}</button>;
  if (status === "failed") return <Note tone="bad" action={again}>{strings.baselines.failed}</Note>;
  if (status === "ready" && baselines.length === 0) {
    return <Note tone="plain"><strong>{strings.baselines.none}.</strong> {strings.baselines.noneHint}</Note>;
  }
  if (failed !== null && failed === (year ?? failed)) {
    return <Note tone="bad"><strong>{failed}:</strong> {strings.baselines.failed}. {strings.baselines.failedHint}</Note>;
  }
  return null;
}
