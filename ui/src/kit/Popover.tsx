import { useEffect, useRef, useState, type ReactNode } from "react";
import type { IconName } from "./Icon";
import { IconButton } from "./IconButton";

interface Props {
  readonly icon: IconName;
  readonly label: string;
  readonly children: ReactNode;
}

/** A button that opens a small card below it; Escape and a click elsewhere close it. */
export function Popover({ icon, label, children }: Props) {
  const [open, setOpen] = useState(false);
  const frame = useRef<HTMLDivElement>(null);
  useEffect(() => {
    if (!open) return undefined;
    const close = (event: Event) => {
      const left = event instanceof KeyboardEvent ? event.key === "Escape" : !frame.current?.contains(event.target as Node);
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
    <div className="menu" ref={frame}>
      <IconButton icon={icon} label={label} className="button-plain" aria-expanded={open} onClick={() => setOpen(!open)} />
      {open && <div className="card menu-body stack">{children}</div>}
    </div>
  );
}
