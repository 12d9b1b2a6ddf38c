import { useEffect, useState } from "react";
import { useMap } from "@/map/context";
import { scaleFor, type Scale } from "@/map/scale";
import { strings } from "@/strings";

/** How long a kilometre is in the middle of the map. */
export function ScaleBar() {
  const map = useMap();
  const [scale, setScale] = useState<Scale | null>(null);
  useEffect(() => {
    if (map === null) return undefined;
    const read = () => setScale(scaleFor(map.getCenter().lat, map.getZoom()));
    read();
    map.on("moveend", read);
    return () => void map.off("moveend", read);
  }, [map]);
  if (scale === null) return null;
  return <span className="scale" style={{ width: scale.pixels }} aria-label={`${strings.map.scale}: ${scale.label}`} role="img">{scale.label}</span>;
}
