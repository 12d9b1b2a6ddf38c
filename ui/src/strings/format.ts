const LOCALE = "en-GB";
const whole = new Intl.NumberFormat(LOCALE, { maximumFractionDigits: 0 });
const fine = new Intl.NumberFormat(LOCALE, { maximumFractionDigits: 1 });
const finer = new Intl.NumberFormat(LOCALE, { maximumFractionDigits: 2 });
const shares = new Intl.NumberFormat(LOCALE, { style: "percent", maximumFractionDigits: 0 });
const fineShares = new Intl.NumberFormat(LOCALE, { style: "percent", maximumFractionDigits: 1 });
const days = new Intl.DateTimeFormat(LOCALE, { day: "numeric", month: "short", year: "numeric", timeZone: "UTC" });

export function count(value: number): string {
  return whole.format(value);
}

export function hectares(value: number): string {
  const format = value >= 100 ? whole : value >= 1 ? fine : finer;
  return `${format.format(value)} ha`;
}

export function km2(value: number): string {
  return `${(value >= 100 ? whole : fine).format(value)} km²`;
}

/** Of a job: hectares, as farms are measured in, or km² where that is too many to read. */
export function areaOf(squareKm: number): string {
  return squareKm >= 100 ? km2(squareKm) : hectares(squareKm * 100);
}

export function percent(share: number): string {
  return share > 0 && share < 0.1 ? fineShares.format(share) : shares.format(share);
}

/** Megabytes, in the unit that reads best. */
export function megabytes(value: number): string {
  return value >= 1_000 ? `${fine.format(value / 1_000)} GB` : value >= 1 ? `${whole.format(value)} MB` : `${whole.format(value * 1_000)} kB`;
}

/** A span of time, as people say it. */
export function duration(seconds: number): string {
  if (seconds < 60) return `${whole.format(Math.max(1, seconds))} s`;
  if (seconds < 3_600) return `${whole.format(seconds / 60)} min`;
  return `${fine.format(seconds / 3_600)} h`;
}

/** A day of an ISO date or time. */
export function day(iso: string): string {
  return days.format(new Date(iso));
}
