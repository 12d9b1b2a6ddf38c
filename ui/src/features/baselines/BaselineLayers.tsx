import { useEffect, useState } from "react";
import { chosenBaseline } from "@/baseline/catalog";
import { useBaselines } from "@/baseline/store";
import { useMap } from "@/map/context";
import { firstCamera } from "@/map/firstPicture";
import { useView } from "@/view/store";
import { YearStack } from "./yearStack";

/** A server that starts, or is away for a moment, is asked again. */
const AGAIN_MS = 4_000;

/** Keeps the year asked for on the map. */
export function BaselineLayers() {
  const map = useMap();
  const baselines = useBaselines((state) => state.baselines);
  const visible = useBaselines((state) => state.visible);
  const painted = useBaselines((state) => state.painted);
  const failed = useBaselines((state) => state.failed);
  const away = useBaselines((state) => state.status === "failed");
  const year = useView((view) => chosenBaseline(baselines, view.year)?.year);
  const palette = useView((view) => view.palette);
  const [stack, setStack] = useState<YearStack | null>(null);
  useEffect(() => {
    if (map === null || baselines.length === 0) return undefined;
    const made = new YearStack(map, baselines, {
      onPainted: (shown) => useBaselines.setState({ painted: shown, failed: null }),
      onWarm: (warm) => useBaselines.setState({ warm }),
      onFailed: (failed) => useBaselines.setState({ failed }),
    });
    // The map is foreign: its layers exist from here on.
    // eslint-disable-next-line react-hooks/set-state-in-effect
    setStack(made);
    return () => made.remove();
  }, [map, baselines]);
  useEffect(() => {
    const { camera, job } = useView.getState();
    if (map === null || baselines.length === 0 || camera !== null || job !== null || firstCamera() !== null) return;
    const bounds = baselines.at(-1)?.bounds;
    if (bounds) map.fitBounds([...bounds], { duration: 0, padding: 0 });
  }, [map, baselines]);
  useEffect(() => {
    if (year !== undefined) void stack?.show(year, palette);
  }, [stack, year, palette]);
  useEffect(() => {
    if (!away) return undefined;
    const timer = setInterval(() => void useBaselines.getState().load(), AGAIN_MS);
    return () => clearInterval(timer);
  }, [away]);
  useEffect(() => {
    if (failed === null || failed !== year) return undefined;
    const timer = setInterval(() => void stack?.show(failed, palette), AGAIN_MS);
    return () => clearInterval(timer);
  }, [stack, failed, year, palette]);
  useEffect(() => stack?.setVisible(visible), [stack, visible, painted]);
  return null;
}
