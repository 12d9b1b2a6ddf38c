/** First and last day, both inclusive, ISO dates. */
export interface Season {
  readonly start: string;
  readonly end: string;
}

const DAY_MS = 86_400_000;
const TOLERANCE_DAYS = 1;

export interface Preset extends Season {
  readonly kind: "summer" | "winter" | "year";
  /** Of the first day. */
  readonly year: number;
}

/** Seasons of Southern Africa that have ended, the newest first: rain-fed summers, irrigated winters, whole years. */
export function presets(today: string, years = 4): readonly Preset[] {
  const last = Number(today.slice(0, 4));
  const all = Array.from({ length: years + 2 }, (_, i) => last - i).flatMap(seasonsOf);
  return all.filter(({ end }) => end < today).toSorted((a, b) => (a.end < b.end ? 1 : -1)).slice(0, years * 3);
}

/** Days of a season, both ends counted. */
export function daysOf({ start, end }: Season): number {
  return Math.round((Date.parse(end) - Date.parse(start)) / DAY_MS) + 1;
}

/** The season of so many days that begins on a day; one that is a year long ends a day before the date comes again. */
export function seasonFrom(start: string, days: number): Season {
  const end = new Date(Date.parse(start) + (days - 1) * DAY_MS);
  return { start, end: end.toISOString().slice(0, 10) };
}

/** The season of so many days that ends on a day. */
export function seasonUntil(end: string, days: number): Season {
  const start = new Date(Date.parse(end) - (days - 1) * DAY_MS);
  return { start: start.toISOString().slice(0, 10), end };
}

/** A season as a model takes it: of the length that it was trained for, from the same day on; null: of any length. */
export function seasonFor(season: Season, days: number | null): Season {
  return days === null || isOfLength(season, days) ? season : seasonFrom(season.start, days);
}

/** Whether a model that was trained for so many days takes a season; a leap day is no matter. */
export function isOfLength(season: Season, days: number): boolean {
  return Math.abs(daysOf(season) - days) <= TOLERANCE_DAYS;
}

export function spell({ start, end }: Season): string {
  return `${start}/${end}`;
}

function seasonsOf(year: number): Preset[] {
  const lastOfApril = `${year + 1}-04-30`;
  return [
    { kind: "summer", year, start: `${year}-10-01`, end: lastOfApril },
    { kind: "winter", year, start: `${year}-05-01`, end: `${year}-09-30` },
    { kind: "year", year, start: `${year}-10-01`, end: `${year + 1}-09-30` },
  ];
}
