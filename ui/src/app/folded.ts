import { create } from "zustand";

/** Whether the panel is folded away. */
export const useFolded = create<{ readonly folded: boolean; readonly toggle: () => void }>()((set) => ({
  folded: false,
  toggle: () => set(({ folded }) => ({ folded: !folded })),
}));
