import { Note } from "@/kit/Note";
import { strings } from "@/strings";

/** Whether this season looks like those that the model learnt from. */
export function DriftCard({ drift }: { readonly drift: Readonly<Record<string, unknown>> | null }) {
  if (drift === null) return null;
  const said = text(drift, "sentence");
  const verdict = text(drift, "verdict");
  const tone = verdict === "none" || verdict === "usual" || verdict === "" ? "plain" : "warn";
  return (
    <section className="stack stack-tight" aria-label={strings.result.drift}>
      <h3>{strings.result.drift}</h3>
      <Note tone={tone}>{said || strings.result.driftNone}</Note>
    </section>
  );
}

function text(drift: Readonly<Record<string, unknown>>, name: string): string {
  const value = drift[name] ?? drift[`geocrop:drift_${name}`];
  return typeof value === "string" ? value : "";
}
