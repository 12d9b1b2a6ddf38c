import { stateOf } from "@/job/follow";
import { strings } from "@/strings";
import { useTileHere } from "./useTileHere";

/** The tile under the pointer, or the one clicked last, and why it is as it is. */
export function TileHere() {
  const here = useTileHere();
  if (here === undefined) return null;
  return (
    <p className="hint" aria-live="polite">
      {strings.job.tile(here.tile)}: {strings.job.tilePhases[stateOf(here)]}{here.reason !== "" && ` (${strings.job.reasons[here.reason] ?? here.reason})`}{here.seconds > 0 && `, ${strings.job.seconds(here.seconds)}`}
    </p>
  );
}
