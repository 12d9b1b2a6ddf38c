import { answered, api, withLink, type Schemas } from "@/api/client";
import type { Area } from "@/area/geometry";
import { fromGeoJson } from "@/area/parse";

export type Tile = Schemas["TileProperties"];

export interface Follower {
  readonly onTiles: (event: Schemas["TilesEvent"]) => void;
  /** Something else than tiles changed: ask for the job again. The phase, where it is known. */
  readonly onChange: (phase?: Schemas["Phase"]) => void;
  /** Tiles were laid out anew: ask for them again. */
  readonly onPlanned: () => void;
  readonly onConnected: (connected: boolean) => void;
}

const AGAIN_MS = 2_000;

/** Follows a job's events from one on until they end; reconnects by itself. Returns what stops it. */
export function followJob(job: string, after: number, follower: Follower): () => void {
  let [last, stopped] = [after, false];
  let source: EventSource | undefined;
  let timer: ReturnType<typeof setTimeout> | undefined;
  const connect = () => {
    if (stopped) return;
    source = new EventSource(withLink(`./api/v1/jobs/${encodeURIComponent(job)}/events?after=${last}`));
    source.onopen = () => follower.onConnected(true);
    source.onerror = () => {
      source?.close();
      follower.onConnected(false);
      follower.onChange();
      timer = setTimeout(connect, AGAIN_MS);
    };
    listen(source, "tiles", (data) => follower.onTiles(data as Schemas["TilesEvent"]));
    listen(source, "planned", follower.onPlanned);
    listen(source, "phase", (data) => follower.onChange((data as Schemas["PhaseEvent"]).phase));
  };
  const listen = (from: EventSource, name: string, act: (data: unknown) => void) => {
    from.addEventListener(name, (event: MessageEvent<string>) => {
      last = Math.max(last, Number(event.lastEventId) || 0);
      act(JSON.parse(event.data) as unknown);
    });
  };
  connect();
  return () => {
    stopped = true;
    clearTimeout(timer);
    source?.close();
  };
}

export function fetchJob(job: string, signal?: AbortSignal): Promise<Schemas["JobView"]> {
  return answered(api.GET("/api/v1/jobs/{job}", { params: { path: { job } }, ...(signal && { signal }) }));
}

export function fetchTiles(job: string, signal?: AbortSignal): Promise<Schemas["TileCollection"]> {
  return answered(api.GET("/api/v1/jobs/{job}/tiles", { params: { path: { job } }, ...(signal && { signal }) }));
}

export async function fetchArea(job: string, signal?: AbortSignal): Promise<Area> {
  return fromGeoJson(await answered(api.GET("/api/v1/jobs/{job}/aoi", { params: { path: { job } }, ...(signal && { signal }) })));
}

export function fetchResult(job: string, signal?: AbortSignal): Promise<Schemas["ResultView"]> {
  return answered(api.GET("/api/v1/jobs/{job}/result", { params: { path: { job } }, ...(signal && { signal }) }));
}

/** What a tile is shown as: one that is done and has nothing mapped is neither well nor failed. */
export function stateOf({ phase, reason }: Tile): Tile["phase"] | "empty" {
  return phase === "succeeded" && reason !== "" ? "empty" : phase;
}

export function isOver(phase: Schemas["JobView"]["phase"]): boolean {
  return phase !== "queued" && phase !== "running";
}

export function isPublished(phase: Schemas["JobView"]["phase"]): boolean {
  return phase === "succeeded" || phase === "partial";
}
