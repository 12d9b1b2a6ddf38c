import { create } from "zustand";

/** Who is asking. */
interface Session {
  readonly csrf: string;
  readonly owner: string;
  readonly method: string;
  /** Where to sign in; empty where nobody has to. */
  readonly signIn: string;
  /** Whether the server refused who was signed in: no longer. */
  readonly over: boolean;
}

export const useSession = create<Session>()(() => ({ csrf: "", owner: "", method: "", signIn: "", over: false }));
