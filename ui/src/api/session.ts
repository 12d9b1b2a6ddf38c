import { create } from "zustand";

/** Who is asking, and whether the server answers. */
interface Session {
  readonly csrf: string;
  readonly owner: string;
  readonly method: string;
  /** Where to sign in; empty where nobody has to. */
  readonly signIn: string;
  readonly reachable: boolean | null;
}

export const useSession = create<Session>()(() => ({ csrf: "", owner: "", method: "", signIn: "", reachable: null }));
