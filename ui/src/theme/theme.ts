import { create } from "zustand";

export type ThemeChoice = "auto" | "light" | "dark";
export type Theme = "light" | "dark";

const KEY = "geocrop.theme";
const dark = window.matchMedia("(prefers-color-scheme: dark)");

interface ThemeState {
  readonly choice: ThemeChoice;
  readonly theme: Theme;
  readonly choose: (choice: ThemeChoice) => void;
}

export const useTheme = create<ThemeState>()((set) => ({
  choice: stored(),
  theme: resolve(stored()),
  choose: (choice) => {
    remember(choice);
    set({ choice, theme: resolve(choice) });
  },
}));

/** Puts the theme on the document, now and whenever it changes. */
export function applyTheme(): void {
  const show = (theme: Theme) => (document.documentElement.dataset["theme"] = theme);
  show(useTheme.getState().theme);
  useTheme.subscribe(({ theme }) => void show(theme));
  dark.addEventListener("change", () => useTheme.setState(({ choice }) => ({ theme: resolve(choice) })));
}

function resolve(choice: ThemeChoice): Theme {
  return choice === "auto" ? (dark.matches ? "dark" : "light") : choice;
}

function stored(): ThemeChoice {
  const kept = read();
  return kept === "light" || kept === "dark" ? kept : "auto";
}

function read(): string | null {
  try {
    return localStorage.getItem(KEY);
  } catch {
    return null;
  }
}

function remember(choice: ThemeChoice): void {
  try {
    localStorage.setItem(KEY, choice);
  } catch {
    return;
  }
}
