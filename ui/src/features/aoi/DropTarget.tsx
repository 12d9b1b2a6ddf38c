import { useEffect, useState } from "react";
import { strings } from "@/strings";
import { bringFile } from "./bring";

/** The whole page takes a file that is dropped on it. */
export function DropTarget() {
  const [over, setOver] = useState(false);
  useEffect(() => {
    const leaving = new AbortController();
    const on = (name: "dragover" | "dragleave" | "drop", act: (event: DragEvent) => void) => {
      window.addEventListener(name, act, { signal: leaving.signal });
    };
    on("dragover", (event) => {
      if (!event.dataTransfer?.types.includes("Files")) return;
      event.preventDefault();
      setOver(true);
    });
    on("dragleave", (event) => {
      if (event.relatedTarget === null) setOver(false);
    });
    on("drop", (event) => {
      event.preventDefault();
      setOver(false);
      const file = event.dataTransfer?.files[0];
      if (file) void bringFile(file);
    });
    return () => leaving.abort();
  }, []);
  return over ? <div className="dropzone-now">{strings.area.dropNow}</div> : null;
}
