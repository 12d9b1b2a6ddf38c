import { AreaLayer } from "./AreaLayer";
import { DropTarget } from "./DropTarget";
import { useSketch } from "./useSketch";

/** What the area needs whichever panel is open. */
export function AreaTools() {
  useSketch();
  return (
    <>
      <AreaLayer />
      <DropTarget />
    </>
  );
}
