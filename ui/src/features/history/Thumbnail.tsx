import { useState } from "react";
import type { Schemas } from "@/api/client";
import { Outline } from "./Outline";

/** The map itself, small; its outline until there is one, and where no picture can be had. */
export function Thumbnail({ job }: { readonly job: Schemas["JobView"] }) {
  const [broken, setBroken] = useState(false);
  const address = job.thumbnail;
  if (address === "" || broken) return <Outline job={job.id} />;
  return <img className="thumbnail" src={address} alt="" width={44} height={44} loading="lazy" onError={() => setBroken(true)} />;
}
