const PREFIX = "geocrop.area.";
const MOST = 12;

/** Keeps the letters of a large area in this browser; a short name for them, or themselves where nothing can be kept. */
export function keepArea(letters: string): string {
  const name = `*${fingerprint(letters)}`;
  try {
    localStorage.setItem(PREFIX + name, letters);
    forgetOldest(name);
    return name;
  } catch {
    return letters;
  }
}

/** The letters of a name; a text that is no name is letters itself. */
export function keptArea(text: string): string {
  if (!text.startsWith("*")) return text;
  try {
    return localStorage.getItem(PREFIX + text) ?? "";
  } catch {
    return "";
  }
}

/** Several tabs, each with an area of its own, do not take each other's away: only the oldest of many go. */
function forgetOldest(newest: string): void {
  const order = (localStorage.getItem(`${PREFIX}order`) ?? "").split(" ").filter((one) => one !== "" && one !== newest);
  const kept = [...order, newest];
  for (const name of kept.splice(0, Math.max(0, kept.length - MOST))) localStorage.removeItem(PREFIX + name);
  localStorage.setItem(`${PREFIX}order`, kept.join(" "));
}

/** FNV-1a over the letters, and how many there are. */
function fingerprint(letters: string): string {
  let hash = 0x811c9dc5;
  for (let i = 0; i < letters.length; i++) hash = Math.imul(hash ^ letters.charCodeAt(i), 0x01000193) >>> 0;
  return `${hash.toString(36)}-${letters.length.toString(36)}`;
}
