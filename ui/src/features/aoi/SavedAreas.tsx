import { useState } from "react";
import { useFetched } from "@/api/useFetched";
import { Icon } from "@/kit/Icon";
import { IconButton } from "@/kit/IconButton";
import { Note } from "@/kit/Note";
import { day, hectares, km2, strings } from "@/strings";
import { useView } from "@/view/store";
import { listSaved, removeSaved, takeSaved } from "./saved";

/** Areas kept on the server; nothing where it does not answer. */
export function SavedAreas() {
  const current = useView((view) => view.areaId);
  const [changes, setChanges] = useState(0);
  const [refused, setRefused] = useState("");
  const saved = useFetched(`saved ${current ?? ""} ${changes}`, listSaved);
  if (saved.data === undefined || saved.data.length === 0) return null;
  const remove = (id: string) => {
    removeSaved(id).then(() => setChanges((before) => before + 1), (error: unknown) => setRefused(error instanceof Error ? error.message : strings.app.noApi));
  };
  return (
    <section className="stack stack-tight" aria-label={strings.area.saved}>
      <h3>{strings.area.saved}</h3>
      {refused !== "" && <Note tone="bad">{refused}</Note>}
      <ul className="quiet-list">
        {saved.data.map((one) => (
          <li key={one.id} className="row">
            <button type="button" className="pick grow" aria-current={one.id === current} onClick={() => takeSaved(one)}>
              <Icon name="bookmark" />
              <span className="grow clip">{one.name}</span>
              <span className="hint">{one.area_km2 >= 100 ? km2(one.area_km2) : hectares(one.area_km2 * 100)} · {day(one.created)}</span>
            </button>
            <IconButton icon="trash" className="button-plain" label={strings.area.remove(one.name)} onClick={() => remove(one.id)} />
          </li>
        ))}
      </ul>
    </section>
  );
}
