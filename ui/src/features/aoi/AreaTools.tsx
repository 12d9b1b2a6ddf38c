import { AreaLayer } from "./AreaLayer";
import { DropTarget } from "./DropTarget";
import { useSavedArea } from "./useSavedArea";
import { useSketch } from "./useSketch";

/** What the area needs whichever panel is open. */
export function AreaTools() {
  useSketch();
  useSavedArea();
  return (
    <>
      <AreaLayer />
      <DropTarget />
    </>
  );
}
