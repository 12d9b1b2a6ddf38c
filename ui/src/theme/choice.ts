export type ThemeChoice = "auto" | "light" | "dark";
export type Theme = "light" | "dark";

const KEY = "geocrop.theme";
export const DARK = window.matchMedia("(prefers-color-scheme: dark)");

/** What a choice means on this device now. */
export function themeOf(choice: ThemeChoice): Theme {
  return choice === "auto" ? (DARK.matches ? "dark" : "light") : choice;
}

/** Puts a theme on the document. */
export function showTheme(theme: Theme): void {
  document.documentElement.dataset["theme"] = theme;
}

/** The choice that this browser keeps. */
export function keptChoice(): ThemeChoice {
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

export function keepChoice(choice: ThemeChoice): void {
  try {
    localStorage.setItem(KEY, choice);
  } catch {
    return;
  }
}
