import { useEffect } from "react";
import { strings } from "@/strings";
import { useView } from "@/view/store";
import { fetchSaved, takeSaved } from "./saved";
import { useAreaState } from "./state";

/** Brings the saved area that an address names, and does not hold. */
export function useSavedArea(): void {
  const missing = useView((view) => (view.area === null ? view.areaId : null));
  useEffect(() => {
    if (missing === null) return undefined;
    const leaving = new AbortController();
    fetchSaved(missing, leaving.signal).then(takeSaved, () => {
      if (!leaving.signal.aborted) useAreaState.setState({ refusal: strings.area.savedGone });
    });
    return () => leaving.abort();
  }, [missing]);
}
