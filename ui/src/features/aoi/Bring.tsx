import { useState, type ChangeEvent } from "react";
import { Icon } from "@/kit/Icon";
import { strings } from "@/strings";
import { bringFile, bringText } from "./bring";

const ACCEPTED = ".geojson,.json,.wkt,.txt,.kml,.kmz,.gpkg,.zip,.gml,.fgb";

/** An area that is there already: from a file, or as text. */
export function Bring() {
  const [open, setOpen] = useState(false);
  const choose = (event: ChangeEvent<HTMLInputElement>) => {
    const file = event.target.files?.[0];
    if (file) void bringFile(file);
    event.target.value = "";
  };
  return (
    <div className="stack">
      <div className="divider">{strings.area.or}</div>
      <label className="drop">
        <input type="file" className="visually-hidden" accept={ACCEPTED} onChange={choose} />
        <span className="row"><Icon name="upload" /> {strings.area.drop}</span>
        <span className="hint">{strings.area.dropHint}</span>
      </label>
      <button type="button" className="button button-plain" aria-expanded={open} onClick={() => setOpen(!open)}>
        {strings.area.paste} <Icon name={open ? "up" : "down"} />
      </button>
      {open && <Paste onTaken={() => setOpen(false)} />}
    </div>
  );
}

function Paste({ onTaken }: { readonly onTaken: () => void }) {
  const [text, setText] = useState("");
  return (
    <form
      className="stack"
      onSubmit={(event) => {
        event.preventDefault();
        if (bringText(text)) onTaken();
      }}
    >
      <label className="field">
        <span>{strings.area.pasteLabel}</span>
        <textarea className="input" value={text} placeholder={strings.area.pasteExample} spellCheck={false} onChange={(event) => setText(event.target.value)} />
      </label>
      <button type="submit" className="button">{strings.area.use}</button>
    </form>
  );
}
