import type { Schemas } from "@/api/client";
import { Note } from "@/kit/Note";
import { percent, strings } from "@/strings";

type Drift = NonNullable<Schemas["ResultView"]["drift"]>;

/** Whether this season looks like those that the model learnt from, and what has moved. */
export function DriftCard({ drift }: { readonly drift: Schemas["ResultView"]["drift"] }) {
  if (drift === null) return null;
  const verdict = text(drift, "verdict");
  const sentence = text(drift, "sentence");
  const outside = drift["geocrop:drift_outside"];
  const features = drift["geocrop:drift_features"];
  const moved = typeof features === "object" && features !== null ? Object.keys(features) : [];
  return (
    <section className="stack stack-tight" aria-label={strings.result.drift}>
      <h3>{strings.result.drift}</h3>
      <Note tone={verdict === "ok" ? "good" : verdict === "not measured" ? "plain" : "warn"}>{sentence || strings.result.driftNone}</Note>
      {sentence === "" && typeof outside === "number" && <p className="hint">{strings.result.driftOutside(percent(outside))}</p>}
      {moved.length > 0 && <p className="hint">{strings.result.driftMoved(moved.slice(0, 6).join(", "), Math.max(0, moved.length - 6))}</p>}
    </section>
  );
}

function text(drift: Drift, name: string): string {
  const value = drift[`geocrop:drift_${name}`];
  return typeof value === "string" ? value : "";
}
