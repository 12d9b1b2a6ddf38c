import { keyOf } from "./layers";

/** What the colours of the layer that is shown mean. */
export function LayerKeyView({ layer }: { readonly layer: string }) {
  const key = keyOf(layer);
  if (key === undefined) return null;
  if (key.kind === "classes") {
    return (
      <ul className="row row-wrap">
        {key.classes.map(({ code, name, colour }) => <li key={code} className="row hint"><span className="swatch" style={{ background: `#${colour}` }} />{name}</li>)}
      </ul>
    );
  }
  return (
    <div className="row hint">
      <span>{key.low}</span>
      <span className="ramp grow" style={{ background: `linear-gradient(to right, ${key.colours.map((one) => `#${one}`).join(", ")})` }} />
      <span>{key.high}</span>
    </div>
  );
}
