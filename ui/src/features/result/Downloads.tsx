import type { Schemas } from "@/api/client";
import { useJob } from "@/job/store";
import { Icon } from "@/kit/Icon";
import { megabytes, strings } from "@/strings";
import { useView } from "@/view/store";
import { qgisLayer } from "./qgis";

type Download = Schemas["Download"];

/** Those that most people want; the rest is folded away. */
const FIRST: readonly string[] = ["map.tif", "areas.csv", "report.html", "item.json"];

/** The map's files, and the map for QGIS. */
export function Downloads({ result }: { readonly result: Schemas["ResultView"] }) {
  const first = FIRST.flatMap((name) => result.downloads.filter((one) => one.name === name));
  const rest = result.downloads.filter(({ name }) => !FIRST.includes(name));
  return (
    <section className="stack stack-tight" aria-label={strings.result.downloads}>
      <h3>{strings.result.downloads}</h3>
      <Qgis result={result} />
      <ul className="quiet-list">{first.map((one) => <Row key={one.name} {...one} />)}</ul>
      {rest.length > 0 && (
        <details>
          <summary>{strings.result.allFiles(rest.length)}</summary>
          <ul className="quiet-list">{rest.map((one) => <Row key={one.name} {...one} />)}</ul>
        </details>
      )}
      <p className="hint">{strings.result.credit}</p>
    </section>
  );
}

function Row({ name, title, href, bytes }: Download) {
  return (
    <li>
      <a className="pick" href={href} download={name}>
        <Icon name="download" />
        <span className="grow clip">{title}<br /><span className="hint">{name}</span></span>
        <span className="hint">{megabytes(bytes / 1e6)}</span>
      </a>
    </li>
  );
}

function Qgis({ result }: { readonly result: Schemas["ResultView"] }) {
  const palette = useView((view) => view.palette);
  const name = useJob((state) => state.job?.name ?? "") || result.job;
  const open = () => {
    const text = qgisLayer(result, name, palette);
    if (text !== undefined) save(new Blob([text], { type: "application/xml" }), `${result.job}.qlr`);
  };
  return (
    <button type="button" className="button" onClick={open} title={strings.result.qgisHint}>
      <Icon name="open" /> {strings.result.qgis}
    </button>
  );
}

function save(blob: Blob, name: string): void {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}
