import { useSyncExternalStore, type ReactNode } from "react";
import { useSession } from "@/api/session";
import { signIn } from "@/api/signIn";
import { useFetched } from "@/api/useFetched";
import { Note } from "@/kit/Note";
import { strings } from "@/strings";

/** What the user has to know wherever she is on the page. */
export function Notices({ children }: { readonly children: ReactNode }) {
  const offline = useOffline();
  const over = useSession((session) => session.over && session.signIn !== "");
  const button = <button type="button" className="button" onClick={signIn}>{strings.session.signIn}</button>;
  return (
    <div className="notices">
      {over && <Note tone="warn" action={button}>{strings.session.over}</Note>}
      {offline && <Note tone="warn">{strings.app.offline}</Note>}
      {children}
    </div>
  );
}

/** Whether the page's server is out of reach: a browser without a network may have it on its own machine. */
function useOffline(): boolean {
  const line = useSyncExternalStore(watchLine, () => navigator.onLine);
  const { error } = useFetched(line ? null : "page", (signal) => fetch(".", { method: "HEAD", cache: "no-store", signal }));
  return !line && error !== undefined;
}

function watchLine(changed: () => void): () => void {
  window.addEventListener("online", changed);
  window.addEventListener("offline", changed);
  return () => {
    window.removeEventListener("online", changed);
    window.removeEventListener("offline", changed);
  };
}
