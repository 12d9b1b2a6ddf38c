import { useEffect, useRef, useState } from "react";
import { IconButton } from "@/kit/IconButton";
import { Segments } from "@/kit/Segments";
import { strings } from "@/strings";
import { useTheme, type ThemeChoice } from "@/theme/theme";
import { useView } from "@/view/store";
import type { PaletteName } from "@/legend/dynamicWorld";

const THEMES: readonly { value: ThemeChoice; label: string }[] = [
  { value: "auto", label: strings.theme.auto },
  { value: "light", label: strings.theme.light },
  { value: "dark", label: strings.theme.dark },
];
const PALETTES: readonly { value: PaletteName; label: string }[] = [
  { value: "official", label: strings.theme.official },
  { value: "safe", label: strings.theme.safe },
];

/** Light or dark, and in which colours. */
export function LookMenu() {
  const [open, setOpen] = useState(false);
  const { choice, choose } = useTheme();
  const { palette, set } = useView();
  const menu = useRef<HTMLDivElement>(null);
  useEffect(() => {
    if (!open) return undefined;
    const close = (event: Event) => {
      const left = event instanceof KeyboardEvent ? event.key === "Escape" : !menu.current?.contains(event.target as Node);
      if (left) setOpen(false);
    };
    document.addEventListener("pointerdown", close);
    document.addEventListener("keydown", close);
    return () => {
      document.removeEventListener("pointerdown", close);
      document.removeEventListener("keydown", close);
    };
  }, [open]);
  return (
    <div className="menu" ref={menu}>
      <div className="card control-group">
        <IconButton icon="look" label={strings.theme.menu} aria-expanded={open} onClick={() => setOpen(!open)} />
      </div>
      {open && (
        <div className="card menu-body stack">
          <h3>{strings.theme.label}</h3>
          <Segments label={strings.theme.label} value={choice} options={THEMES} onChange={choose} />
          <h3>{strings.theme.palette}</h3>
          <Segments label={strings.theme.palette} value={palette} options={PALETTES} onChange={(value) => set({ palette: value })} />
        </div>
      )}
    </div>
  );
}
