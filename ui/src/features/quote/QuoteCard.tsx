import { useState } from "react";
import { useFetched } from "@/api/useFetched";
import { Fact } from "@/kit/Fact";
import { Note } from "@/kit/Note";
import { Trouble } from "@/kit/Trouble";
import { spell } from "@/season/presets";
import { count, duration, megabytes, strings } from "@/strings";
import { encodeArea } from "@/view/polyline";
import { useView } from "@/view/store";
import { DaysChart } from "./DaysChart";
import { fetchQuote, submitQuote, type Order } from "./order";

const SETTLE_MS = 400;

/** What the run takes, beside the button that starts it. */
export function QuoteCard({ order }: { readonly order: Order }) {
  const key = [encodeArea(order.area), order.name, spell(order.season), order.model, order.catalog, JSON.stringify(order.options)].join(" ");
  const quote = useFetched(key, (signal) => fetchQuote(order, signal), SETTLE_MS);
  const [submitting, setSubmitting] = useState(false);
  const [refused, setRefused] = useState<Error | null>(null);
  const set = useView((view) => view.set);
  if (quote.error) return <Trouble error={quote.error} retry={quote.again} />;
  if (quote.data === undefined || quote.loading) return <p className="row hint" role="status"><span className="spinner" />{strings.order.quoting}</p>;
  const { id, cost, queue, warnings } = quote.data;
  const submit = async () => {
    setSubmitting(true);
    setRefused(null);
    try {
      set({ job: (await submitQuote(id)).id, panel: "maps" });
    } catch (error) {
      setRefused(error instanceof Error ? error : new Error(String(error)));
      setSubmitting(false);
    }
  };
  return (
    <>
      <DaysChart days={cost.days} season={order.season} />
      {warnings.map((text) => <Note key={text} tone="warn">{text}</Note>)}
      <section className="panel-foot stack" aria-label={strings.order.quote}>
        {refused !== null && <Trouble error={refused} />}
        <dl className="facts">
          <Fact name={strings.area.tiles}>{count(cost.tiles)}</Fact>
          <Fact name={strings.order.time}>{duration(cost.seconds)}</Fact>
          <Fact name={strings.order.reads}>{megabytes(cost.read_mb)}</Fact>
          <Fact name={strings.order.stores}>{megabytes(cost.store_mb + cost.output_mb)}</Fact>
        </dl>
        <p className="hint">
          {strings.order.scenes(cost.scenes, cost.days.length)}{cost.stored > 0 && ` · ${strings.order.stored(cost.stored)}`} · {strings.job.ahead(queue.jobs_ahead)}
        </p>
        <button type="button" className="button button-primary" disabled={submitting} onClick={() => void submit()}>
          {submitting ? strings.order.submitting : strings.order.submit}
        </button>
      </section>
    </>
  );
}
