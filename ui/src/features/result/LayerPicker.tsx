import { strings } from "@/strings";
import { useView } from "@/view/store";
import { layerName } from "./layers";

/** Which raster of the map is shown. */
export function LayerPicker({ layers }: { readonly layers: readonly string[] }) {
  const { layer, set } = useView();
  return (
    <label className="field">
      <span>{strings.result.layers}</span>
      <select className="input" value={layers.includes(layer) ? layer : "map"} onChange={(event) => set({ layer: event.target.value })}>
        {layers.map((name) => <option key={name} value={name}>{layerName(name)}</option>)}
      </select>
    </label>
  );
}
