import { useState } from "react";
import { answered, api } from "@/api/client";
import { Icon } from "@/kit/Icon";
import { strings } from "@/strings";

/** A read-only link to the map, for others. */
export function Share({ job }: { readonly job: string }) {
  const [told, setTold] = useState<{ readonly copied: boolean; readonly url: string } | null>(null);
  const share = async () => {
    const { url } = await answered(api.POST("/api/v1/jobs/{job}/links", { params: { path: { job } }, body: { days: 30 } }));
    const copied = await navigator.clipboard.writeText(url).then(() => true, () => false);
    setTold({ copied, url });
  };
  return (
    <>
      <button type="button" className="button" onClick={() => void share().catch(() => undefined)}><Icon name="link" /> {strings.job.share}</button>
      {told && (
        <label className="field" style={{ flexBasis: "100%" }}>
          <span role="status">{told.copied ? strings.job.shared : strings.job.shareFailed}</span>
          <input className="input" readOnly value={told.url} onFocus={(event) => event.target.select()} />
        </label>
      )}
    </>
  );
}
