import { create } from "zustand";
import { DARK, keepChoice, keptChoice, showTheme, themeOf, type Theme, type ThemeChoice } from "./choice";

export type { Theme, ThemeChoice };

interface ThemeState {
  readonly choice: ThemeChoice;
  readonly theme: Theme;
  readonly choose: (choice: ThemeChoice) => void;
}

export const useTheme = create<ThemeState>()((set) => ({
  choice: keptChoice(),
  theme: themeOf(keptChoice()),
  choose: (choice) => {
    keepChoice(choice);
    set({ choice, theme: themeOf(choice) });
  },
}));

/** Puts the theme on the document, now and whenever it changes. */
export function applyTheme(): void {
  showTheme(useTheme.getState().theme);
  useTheme.subscribe(({ theme }) => showTheme(theme));
  DARK.addEventListener("change", () => useTheme.setState(({ choice }) => ({ theme: themeOf(choice) })));
}
