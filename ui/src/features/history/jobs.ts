import { answered, api, type Schemas } from "@/api/client";

type Job = Schemas["JobView"];
export type Filter = "all" | "running" | "done" | "failed";

const PHASES: Record<Filter, readonly (Job["phase"] | undefined)[]> = {
  all: [undefined],
  running: ["queued", "running"],
  done: ["succeeded", "partial"],
  failed: ["failed", "cancelled"],
};

export interface Listed {
  readonly items: readonly Job[];
  readonly more: boolean;
}

/** So many jobs of a filter, the newest first. */
export async function listJobs(filter: Filter, limit: number, signal: AbortSignal): Promise<Listed> {
  const pages = await Promise.all(PHASES[filter].map((phase) => {
    return answered(api.GET("/api/v1/jobs", { params: { query: { limit, ...(phase && { phase }) } }, signal }));
  }));
  const all = pages.flatMap(({ items }) => items).toSorted((a, b) => b.created.localeCompare(a.created));
  return { items: all.slice(0, limit), more: all.length > limit || pages.some(({ next }) => Boolean(next)) };
}
