import { useState } from "react";
import { faultOf } from "@/area/validity";
import { useConfig } from "@/api/config";
import { Icon } from "@/kit/Icon";
import { IconButton } from "@/kit/IconButton";
import { Trouble } from "@/kit/Trouble";
import { day, strings } from "@/strings";
import { useView } from "@/view/store";
import { saveArea } from "./saved";
import { takeArea, undoArea, useAreaState } from "./state";

/** What can be done with the area that is there. */
export function AreaActions() {
  const { area, set } = useView();
  const past = useAreaState((state) => state.past);
  return (
    <div className="row">
      <button type="button" className="button grow" onClick={() => set({ tool: "edit" })}><Icon name="edit" /> {strings.area.edit}</button>
      <IconButton icon="view" label={strings.area.zoom} onClick={() => useAreaState.setState({ fit: area })} />
      <IconButton icon="undo" label={strings.area.undo} disabled={past.length === 0} onClick={undoArea} />
      <IconButton icon="trash" label={strings.area.clear} onClick={() => takeArea(null)} />
    </div>
  );
}

/** The area's name, under which it is mapped and kept. */
export function NameField() {
  const { area, areaName, areaId, set } = useView();
  const limits = useConfig((config) => config.limits);
  const [error, setError] = useState<Error | null>(null);
  if (area === null) return null;
  const save = () => {
    const name = areaName.trim() || strings.area.unnamed(day(new Date().toISOString()));
    saveArea(area, name).then(() => setError(null), (failed: unknown) => setError(failed instanceof Error ? failed : new Error(String(failed))));
  };
  return (
    <div className="stack">
      <div className="row row-end">
        <label className="field grow">
          <span>{strings.area.name}</span>
          <input className="input" value={areaName} maxLength={80} placeholder={strings.area.namePlaceholder} onChange={(event) => set({ areaName: event.target.value, areaId: null })} />
        </label>
        <button type="button" className="button button-tall" disabled={areaId !== null || faultOf(area, limits) !== undefined} onClick={save}>
          <Icon name={areaId === null ? "bookmark" : "check"} /> {areaId === null ? strings.area.save : strings.area.savedNow}
        </button>
      </div>
      {error && <Trouble error={error} retry={save} />}
    </div>
  );
}
