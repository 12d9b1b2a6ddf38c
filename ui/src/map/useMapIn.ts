import type { Map as MapLibre } from "maplibre-gl";
import { useEffect, useState, type RefObject } from "react";
import { firstDrawn } from "./firstPicture";

export interface Started {
  readonly map: MapLibre | null;
  /** Whether this browser cannot draw it, or its code does not come. */
  readonly failed: boolean;
}

/** The map in a frame, as soon as its code is there and the first picture is drawn. */
export function useMapIn(frame: RefObject<HTMLDivElement | null>): Started {
  const [started, setStarted] = useState<Started>({ map: null, failed: false });
  useEffect(() => {
    let left = false;
    let end: (() => void) | undefined;
    void firstDrawn().then(() => import("./startMap")).then(({ startMap }) => {
      if (left || frame.current === null) return;
      end = startMap(frame.current, (map) => setStarted({ map, failed: false }));
    }).catch(() => !left && setStarted({ map: null, failed: true }));
    return () => {
      left = true;
      setStarted({ map: null, failed: false });
      end?.();
    };
  }, [frame]);
  return started;
}
