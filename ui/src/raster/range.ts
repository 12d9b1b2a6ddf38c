/** Bytes that a Content-Range names. */
export function lengthOf(range: string | null): number | undefined {
  const [, first, last] = /^bytes (\d+)-(\d+)\//.exec(range ?? "") ?? [];
  return first === undefined || last === undefined ? undefined : Number(last) - Number(first) + 1;
}
