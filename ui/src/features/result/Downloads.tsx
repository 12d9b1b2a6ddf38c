import type { Schemas } from "@/api/client";
import { Icon } from "@/kit/Icon";
import { megabytes, strings } from "@/strings";

/** The map's files. */
export function Downloads({ downloads }: { readonly downloads: readonly Schemas["Download"][] }) {
  return (
    <section className="stack stack-tight" aria-label={strings.result.downloads}>
      <h3>{strings.result.downloads}</h3>
      <ul className="quiet-list">
        {downloads.map(({ name, title, href, bytes }) => (
          <li key={name}>
            <a className="pick" href={href} download={name}>
              <Icon name="download" />
              <span className="grow clip">{title}</span>
              <span className="hint">{megabytes(bytes / 1e6)}</span>
            </a>
          </li>
        ))}
      </ul>
    </section>
  );
}
