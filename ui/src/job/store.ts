import { create } from "zustand";
import { ProblemError, type Schemas } from "@/api/client";
import type { Area } from "@/area/geometry";
import { fetchArea, fetchJob, fetchResult, fetchTiles, followJob, isOver, isPublished, type Tile } from "./follow";

/** The job that is looked at. */
interface JobState {
  readonly job: Schemas["JobView"] | null;
  /** Of the job; null until known. */
  readonly area: Area | null;
  readonly tiles: Schemas["TileCollection"] | null;
  /** What became of tiles since `tiles` was fetched; one map that grows, since a copy of thousands for each event costs. */
  readonly moved: Map<string, Tile>;
  /** The tiles of the event heard last. */
  readonly fresh: readonly Tile[];
  /** As the event heard last says; null before one was heard. */
  readonly counts: Schemas["TileCounts"] | null;
  /** The tile clicked last, whose log is shown. */
  readonly tile: string | null;
  readonly result: Schemas["ResultView"] | null;
  readonly connected: boolean;
  readonly error: Error | null;
}

const NOTHING: JobState = { job: null, area: null, tiles: null, moved: new Map(), fresh: [], counts: null, tile: null, result: null, connected: true, error: null };
const AGAIN_MS = 2_500;
/** What is left changes with every tile, but is asked for no more often than this. */
const ASK_MS = 4_000;
/** Before its addresses stop working, a result is asked for anew. */
const EARLY_MS = 60_000;
const LONGEST_TIMER_MS = 2 ** 31 - 1;

export const useJob = create<JobState>()(() => NOTHING);
let begin: (() => void) | undefined;

/** A tile as it was fetched, or as an event said since. */
export function asHeard(tile: Tile): Tile {
  return useJob.getState().moved.get(tile.tile) ?? tile;
}

/** Follows the job of the store again, from the start: it was ended, and goes on. */
export function followAgain(): void {
  useJob.setState({ result: null, tile: null });
  begin?.();
}

/** Keeps the store at what a job is, until stopped. */
export function watchJob(id: string): () => void {
  const leaving = new AbortController();
  const watch = new Watch(id, leaving.signal);
  useJob.setState({ ...NOTHING, moved: new Map() });
  begin = () => watch.begin();
  watch.begin();
  return () => {
    leaving.abort();
    watch.stop();
    begin = undefined;
    useJob.setState(NOTHING);
  };
}

class Watch {
  #stop: (() => void) | undefined;
  #bringing: Promise<void> | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #soon: ReturnType<typeof setTimeout> | undefined;

  constructor(private readonly id: string, private readonly signal: AbortSignal) {}

  /** A server that does not answer now is asked again; one that refuses is not. */
  begin(): void {
    this.stop();
    this.#start().catch((error: unknown) => {
      if (this.#fail(error)) this.#timer = setTimeout(() => this.begin(), AGAIN_MS);
    });
  }

  stop(): void {
    clearTimeout(this.#timer);
    clearTimeout(this.#soon);
    this.#soon = undefined;
    this.#stop?.();
    this.#stop = undefined;
  }

  async #start(): Promise<void> {
    const job = await this.#refresh();
    const event = await this.#lay();
    void this.#bringArea();
    if (this.signal.aborted || isOver(job.phase)) return;
    this.#stop = followJob(this.id, event, {
      onTiles: ({ tiles: fresh, counts }) => {
        const { moved } = useJob.getState();
        for (const one of fresh) moved.set(one.tile, one);
        useJob.setState({ fresh, counts });
        this.#refreshSoon();
      },
      onChange: (phase) => {
        if (phase !== undefined && isPublished(phase)) void this.#bringResult().catch(() => undefined); // the map before its record
        void this.#refresh().catch((error: unknown) => this.#fail(error));
      },
      onPlanned: () => void this.#lay().then(() => this.#refresh()).catch((error: unknown) => this.#fail(error)),
      onConnected: (connected) => useJob.setState({ connected }),
    });
  }

  async #refresh(): Promise<Schemas["JobView"]> {
    const job = await fetchJob(this.id, this.signal);
    useJob.setState({ job, error: null, connected: true });
    if (isOver(job.phase)) this.stop();
    if (isPublished(job.phase) && useJob.getState().result?.job !== this.id) await this.#bringResult();
    return job;
  }

  /** The time left is the server's to say. */
  #refreshSoon(): void {
    this.#soon ??= setTimeout(() => {
      this.#soon = undefined;
      this.#refresh().catch((error: unknown) => this.#fail(error));
    }, ASK_MS);
  }

  async #lay(): Promise<number> {
    const tiles = await fetchTiles(this.id, this.signal);
    useJob.setState({ tiles, moved: new Map(), fresh: [], counts: null });
    return tiles.event;
  }

  /** A job that was started elsewhere has none until it is planned. */
  async #bringArea(): Promise<void> {
    const area = await fetchArea(this.id, this.signal).catch(() => null);
    if (!this.signal.aborted) useJob.setState({ area });
  }

  #bringResult(): Promise<void> {
    this.#bringing ??= this.#fetchResult().finally(() => (this.#bringing = undefined));
    return this.#bringing;
  }

  async #fetchResult(): Promise<void> {
    const result = await fetchResult(this.id, this.signal);
    useJob.setState({ result });
    const left = Date.parse(result.expires) - Date.now() - EARLY_MS;
    this.#timer = setTimeout(() => void this.#fetchResult().catch(() => this.begin()), Math.min(Math.max(left, EARLY_MS), LONGEST_TIMER_MS));
  }

  /** Whether to try again. */
  #fail(error: unknown): boolean {
    if (this.signal.aborted) return false;
    const known = error instanceof Error ? error : new Error(String(error));
    const passing = !(known instanceof ProblemError) || known.status >= 500 || known.status === 429;
    useJob.setState({ error: known, connected: !passing });
    return passing;
  }
}
