import { useSyncExternalStore, type ReactNode } from "react";
import { Note } from "@/kit/Note";
import { strings } from "@/strings";

/** What the user has to know wherever she is on the page. */
export function Notices({ children }: { readonly children: ReactNode }) {
  const online = useSyncExternalStore(watchLine, () => navigator.onLine);
  return (
    <div className="notices">
      {!online && <Note tone="warn">{strings.app.offline}</Note>}
      {children}
    </div>
  );
}

function watchLine(changed: () => void): () => void {
  window.addEventListener("online", changed);
  window.addEventListener("offline", changed);
  return () => {
    window.removeEventListener("online", changed);
    window.removeEventListener("offline", changed);
  };
}
