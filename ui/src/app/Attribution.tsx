import { strings } from "@/strings";
import { ScaleBar } from "./ScaleBar";

/** Whose data this is, always in view. */
export function Attribution() {
  return (
    <footer className="attribution">
      <ScaleBar />
      <span>{strings.map.attribution}</span>
    </footer>
  );
}
