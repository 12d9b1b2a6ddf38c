import { create } from "zustand";
import type { Schemas } from "@/api/client";
import { fetchJob, fetchResult, fetchTiles, followJob, isOver, isPublished, type Tile } from "./follow";

/** The job that is looked at. */
interface JobState {
  readonly job: Schemas["JobView"] | null;
  readonly tiles: Schemas["TileCollection"] | null;
  /** What became of tiles since `tiles` was fetched. */
  readonly moved: ReadonlyMap<string, Tile>;
  readonly result: Schemas["ResultView"] | null;
  readonly connected: boolean;
  readonly error: Error | null;
}

const NOTHING: JobState = { job: null, tiles: null, moved: new Map(), result: null, connected: true, error: null };

export const useJob = create<JobState>()(() => NOTHING);

/** Keeps the store at what a job is, until stopped. */
export function watchJob(id: string): () => void {
  const leaving = new AbortController();
  let stop: (() => void) | undefined;
  const { signal } = leaving;
  const fail = (error: unknown) => {
    if (!signal.aborted) useJob.setState({ error: error instanceof Error ? error : new Error(String(error)) });
  };
  const refresh = async () => {
    const job = await fetchJob(id, signal);
    useJob.setState({ job, error: null });
    if (isOver(job.phase)) stop?.();
    if (isPublished(job.phase) && useJob.getState().result?.job !== id) useJob.setState({ result: await fetchResult(id, signal) });
  };
  const lay = async () => {
    const tiles = await fetchTiles(id, signal);
    useJob.setState({ tiles, moved: new Map() });
    return tiles.event;
  };
  const begin = async () => {
    await refresh();
    const event = await lay();
    const { job } = useJob.getState();
    if (signal.aborted || job === null || isOver(job.phase)) return;
    stop = followJob(id, event, {
      onTiles: (tiles) => useJob.setState(({ moved }) => ({ moved: new Map([...moved, ...tiles.map((one) => [one.tile, one] as const)]) })),
      onChange: () => void refresh().catch(fail),
      onPlanned: () => void lay().then(refresh).catch(fail),
      onConnected: (connected) => useJob.setState({ connected }),
    });
  };
  useJob.setState(NOTHING);
  void begin().catch(fail);
  return () => {
    leaving.abort();
    stop?.();
    useJob.setState(NOTHING);
  };
}
