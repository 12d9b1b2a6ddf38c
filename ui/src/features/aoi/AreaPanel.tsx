import { useEffect, useRef } from "react";
import { faultOf } from "@/area/validity";
import { IconButton } from "@/kit/IconButton";
import { Note } from "@/kit/Note";
import { strings } from "@/strings";
import { useView } from "@/view/store";
import { Bring } from "./Bring";
import { Measures } from "./Measures";
import { takeArea, undoArea, useAreaState } from "./state";
import { Tools } from "./Tools";
import { finishEdit } from "./useSketch";

/** Where the map is to be: draw, change or bring an area, and see what it comes to. */
export function AreaPanel() {
  const { area, areaName, tool, set } = useView();
  const { draft, refusal } = useAreaState();
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
          <label className="field">
            <span>{strings.area.name}</span>
            <input className="input" value={areaName} maxLength={80} placeholder={strings.area.namePlaceholder} onChange={(event) => set({ areaName: event.target.value })} />
          </label>
          <button type="button" className="button button-primary" disabled={faultOf(area) !== undefined} onClick={() => set({ panel: "order", tool: null })}>
            {strings.area.next}
          </button>
        </>
      )}
      {tool === null && <Bring />}
    </div>
  );
}

function AreaActions() {
  const { area, set } = useView();
  const past = useAreaState((state) => state.past);
  return (
    <div className="row">
      <button type="button" className="button grow" onClick={() => set({ tool: "edit" })}>{strings.area.edit}</button>
      <IconButton icon="view" label={strings.area.zoom} onClick={() => useAreaState.setState({ fit: area })} />
      <IconButton icon="undo" label={strings.area.undo} disabled={past.length === 0} onClick={undoArea} />
      <IconButton icon="trash" label={strings.area.clear} onClick={() => takeArea(null)} />
    </div>
  );
}
