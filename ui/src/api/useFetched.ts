import { ProblemError } from "./client";
import { useCallback, useEffect, useState } from "react";

export interface Fetched<T> {
  readonly data: T | undefined;
  readonly error: Error | undefined;
  readonly loading: boolean;
  readonly again: () => void;
}

const AGAIN_MS = 4_000;

/**
 * What a request brings; it is asked again when `key` changes, or by itself where no server answered, and not at all while
 * `key` is null. Old data stay meanwhile.
 */
export function useFetched<T>(key: string | null, request: (signal: AbortSignal) => Promise<T>, wait = 0): Fetched<T> {
  const [state, setState] = useState<{ data?: T; error?: Error; key?: string }>({});
  const [round, setRound] = useState(0);
  useEffect(() => {
    if (key === null) return undefined;
    const leaving = new AbortController();
    let timer = setTimeout(() => {
      request(leaving.signal).then(
        (data) => !leaving.signal.aborted && setState({ data, key }),
        (error: unknown) => {
          if (leaving.signal.aborted) return;
          setState({ error: toError(error), key });
          if (mayPass(error)) timer = setTimeout(() => setRound((before) => before + 1), AGAIN_MS);
        },
      );
    }, wait);
    return () => {
      clearTimeout(timer);
      leaving.abort();
    };
    // `request` is made anew on each render; `key` says when it asks for something else.
    // eslint-disable-next-line react-hooks/exhaustive-deps
  }, [key, round, wait]);
  const again = useCallback(() => setRound((before) => before + 1), []);
  return { data: state.data, error: state.error, loading: key !== null && state.key !== key, again };
}

/** Nobody answered, or a proxy said so for a server that is away. */
function mayPass(error: unknown): boolean {
  return !(error instanceof ProblemError) || [502, 503, 504].includes(error.status);
}

function toError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error));
}
