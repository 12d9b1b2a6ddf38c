import createClient from "openapi-fetch";
import type { Readable } from "openapi-typescript-helpers";
import type { components, paths } from "./schema";
import { useView } from "@/view/store";
import { useSession } from "./session";

/** What the API answers with. */
export type Schemas = { [Name in keyof components["schemas"]]: Readable<components["schemas"][Name]> };

/** What the API says when it refuses; the message is for users. */
export class ProblemError extends Error {
  override readonly name = "ProblemError";

  constructor(readonly status: number, readonly problem: Partial<Schemas["Problem"]>) {
    super([problem.detail || problem.title, problem.remedy].filter(Boolean).join(" "));
  }
}

/** The typed client; paths are those of the OpenAPI document. */
export const api = createClient<paths>({
  baseUrl: new URL(".", document.baseURI).href.replace(/\/$/, ""),
  credentials: "same-origin",
  fetch: (request) => fetch(request),
});

api.use({
  onRequest: ({ request }) => {
    const { csrf } = useSession.getState();
    if (csrf !== "" && request.method !== "GET") request.headers.set("X-CSRF-Token", csrf);
    const linked = withLink(request.url);
    return linked === request.url ? request : new Request(linked, request);
  },
  onResponse: ({ response }) => {
    if (response.status === 401) useSession.setState(({ owner }) => ({ over: owner !== "" }));
  },
});

/** An address of the job that the view's read-only link opens, with that link. */
export function withLink(address: string): string {
  const { job, link } = useView.getState();
  if (job === null || link === null || !address.includes(`/api/v1/jobs/${encodeURIComponent(job)}`)) return address;
  return `${address}${address.includes("?") ? "&" : "?"}link=${encodeURIComponent(link)}`;
}

interface Outcome<T> {
  readonly data?: T;
  readonly error?: unknown;
  readonly response: Response;
}

/** The data of an answer; throws ProblemError for a refusal, and what `fetch` throws when nobody answers. */
export async function answered<T>(outcome: Promise<Outcome<T>>): Promise<NonNullable<T>> {
  const { data, error, response } = await outcome;
  if (response.ok && data !== undefined && data !== null) return data;
  const problem = typeof error === "object" && error !== null ? (error as Partial<Schemas["Problem"]>) : { title: response.statusText };
  throw new ProblemError(response.status, problem);
}
