import { create } from "zustand";
import { askBaselines, type Baseline } from "./catalog";

interface BaselineState {
  readonly status: "loading" | "ready" | "failed";
  readonly baselines: readonly Baseline[];
  /** Whether the map shows a baseline. */
  readonly visible: boolean;
  /** The year that is painted; it follows the year asked for. */
  readonly painted: number | null;
  /** Years whose tiles are here. */
  readonly warm: ReadonlySet<number>;
  readonly failed: number | null;
  readonly load: () => Promise<void>;
}

export const useBaselines = create<BaselineState>()((set) => ({
  status: "loading",
  baselines: [],
  visible: true,
  painted: null,
  warm: new Set(),
  failed: null,
  load: async () => {
    const before = useBaselines.getState().baselines;
    try {
      set({ baselines: await askBaselines(), status: "ready" });
    } catch {
      if (before.length === 0) set({ status: "failed" });
    }
  },
}));
