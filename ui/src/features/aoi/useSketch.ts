import { useEffect } from "react";
import { useMap } from "@/map/context";
import { useView } from "@/view/store";
import { takeArea, useAreaState } from "./state";

/** Runs the tool that is chosen; drawing code is loaded with the first one. */
export function useSketch(): void {
  const map = useMap();
  const tool = useView((view) => view.tool);
  useEffect(() => {
    if (map === null || tool === null) return undefined;
    let stop: (() => void) | undefined;
    let left = false;
    void import("./sketch").then(({ Sketch }) => {
      if (left) return;
      const sketch = new Sketch(map, tool, useView.getState().area, {
        onDraft: (draft) => useAreaState.setState({ draft }),
        onFinish: (area) => {
          takeArea(area);
          useView.getState().set({ tool: null });
        },
      });
      stop = () => sketch.stop();
    });
    return () => {
      left = true;
      stop?.();
      useAreaState.setState({ draft: null });
    };
  }, [map, tool]);
}

/** Ends editing: the changed shape becomes the area. */
export function finishEdit(): void {
  const { draft } = useAreaState.getState();
  if (draft) takeArea(draft);
  useView.getState().set({ tool: null });
}
