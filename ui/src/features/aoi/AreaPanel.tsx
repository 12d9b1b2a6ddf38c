import { useEffect, useRef } from "react";
import { useConfig } from "@/api/config";
import { faultOf } from "@/area/validity";
import { Note } from "@/kit/Note";
import { strings } from "@/strings";
import { useView } from "@/view/store";
import { AreaActions, NameField } from "./AreaActions";
import { Bring } from "./Bring";
import { Measures } from "./Measures";
import { SavedAreas } from "./SavedAreas";
import { useAreaState } from "./state";
import { Tools } from "./Tools";
import { finishEdit } from "./useSketch";

/** Where the map is to be: draw, change or bring an area, and see what it comes to. */
export function AreaPanel() {
  const { area, tool, set } = useView();
  const { draft, refusal } = useAreaState();
  const limits = useConfig((config) => config.limits);
  const top = useRef<HTMLDivElement>(null);
  useEffect(() => {
    // It answers a promise in new browsers: an effect must not give that back.
    top.current?.scrollIntoView({ block: "start" });
  }, [area]);
  const shown = draft ?? area;
  return (
    <div className="stack stack-wide" ref={top}>
      <div className="stack stack-tight">
        <h2>{strings.area.title}</h2>
        <p className="lead">{strings.area.lead}</p>
      </div>
      <div className="stack">
        <Tools />
        {tool !== null && <Note tone="plain">{strings.area.drawing[tool]}</Note>}
        {refusal !== null && <Note tone="bad">{refusal}</Note>}
      </div>
      {shown && <Measures area={shown} finished={draft === null} />}
      {tool === "edit" && <button type="button" className="button button-primary" onClick={finishEdit}>{strings.area.done}</button>}
      {area && tool !== "edit" && (
        <>
          <AreaActions />
          <NameField />
          <button type="button" className="button button-primary" disabled={faultOf(area, limits) !== undefined} onClick={() => set({ panel: "order", tool: null })}>
            {strings.area.next}
          </button>
        </>
      )}
      {tool === null && <Bring />}
      {tool === null && <SavedAreas />}
    </div>
  );
}
