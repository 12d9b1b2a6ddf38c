import { useConfig } from "@/api/config";
import { useGround } from "@/map/ground";
import { strings } from "@/strings";
import { ScaleBar } from "./ScaleBar";

/** Whose data this is, always in view. */
export function Attribution() {
  const credit = useConfig((config) => (config.basemap === "" ? "" : config.basemapAttribution));
  const ground = useGround((state) => state.ground);
  return (
    <footer className="attribution">
      <ScaleBar />
      <span>{strings.map.attribution}{credit !== "" && ground === "tiles" && ` · ${credit}`}</span>
    </footer>
  );
}
