import type { ReactNode } from "react";
import { Icon } from "./Icon";

interface Props {
  readonly tone: "good" | "warn" | "bad" | "plain";
  readonly children: ReactNode;
  readonly action?: ReactNode;
}

/** A short message: what happened, and what to do. Bad ones are spoken at once. */
export function Note({ tone, children, action }: Props) {
  const icon = tone === "good" ? "check" : tone === "plain" ? "info" : "alert";
  return (
    <div className={`note note-${tone}`} role={tone === "bad" ? "alert" : "status"}>
      <Icon name={icon} />
      <div className="grow">{children}</div>
      {action}
    </div>
  );
}
