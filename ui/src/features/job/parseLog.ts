import type { Schemas } from "@/api/client";

export interface Line {
  readonly key: string;
  readonly level: string;
  readonly text: string;
}

const MOST = 200;

/** The last lines of a log of JSON lines, in words; a line that is no JSON stays as it is. */
export function parseLog(text: string): readonly Line[] {
  const lines = text.split("\n").filter((line) => line.trim() !== "");
  const skipped = Math.max(0, lines.length - MOST);
  return lines.slice(skipped).map((line, index) => ({ key: String(skipped + index), ...parseLine(line) }));
}

function parseLine(line: string): Omit<Line, "key"> {
  try {
    const { time = "", level, event, tile = "", fields = {} } = JSON.parse(line) as Partial<Schemas["LogLine"]>;
    const rest = Object.entries(fields).map(([name, value]) => `${name}=${typeof value === "string" ? value : JSON.stringify(value)}`);
    return { level: level ?? "info", text: [time.slice(11, 19), event, tile, ...rest].filter(Boolean).join(" ") };
  } catch {
    return { level: "info", text: line };
  }
}
