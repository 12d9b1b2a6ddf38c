import type { Answered, Answers, Asked, Kind, Question } from "./messages";

interface Waiting {
  readonly resolve: (answer: Answers[Kind]) => void;
  readonly reject: (error: Error) => void;
}

const waiting = new Map<number, Waiting>();
let worker: Worker | undefined;
let asked = 0;

/** Ask the raster worker. Rejects with an AbortError when the signal aborts. */
export function ask<K extends Kind>(question: Extract<Question, { kind: K }>, signal?: AbortSignal): Promise<Answers[K]> {
  const id = ++asked;
  return new Promise<Answers[K]>((resolve, reject) => {
    signal?.throwIfAborted();
    signal?.addEventListener("abort", () => cancel(id), { once: true });
    waiting.set(id, { resolve: (answer) => resolve(answer as Answers[K]), reject });
    post({ id, question });
  });
}

function cancel(id: number): void {
  const one = waiting.get(id);
  if (one === undefined) return;
  waiting.delete(id);
  post({ id, cancel: true });
  one.reject(new DOMException("no longer wanted", "AbortError"));
}

function post(message: Asked): void {
  worker ??= start();
  worker.postMessage(message, "question" in message && message.question.kind === "frame" ? [message.question.canvas] : []);
}

/** Start the worker before there is anything to ask. */
export function startWorker(): void {
  worker ??= start();
}

function start(): Worker {
  const started = new Worker(new URL("./worker.ts", import.meta.url), { type: "module", name: "raster" });
  started.addEventListener("message", ({ data }: MessageEvent<Answered>) => settle(data));
  return started;
}

function settle(message: Answered): void {
  const one = waiting.get(message.id);
  waiting.delete(message.id);
  if ("error" in message) one?.reject(new Error(message.error));
  else one?.resolve(message.answer);
}
