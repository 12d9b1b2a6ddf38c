import type { Area } from "@/area/geometry";
import { decodeArea, encodeArea } from "./polyline";
import { keepArea, keptArea } from "./kept";
import type { Camera, Panel, View } from "./store";

/** Longer areas are named by reference: a saved one by its id, others by what this browser keeps. */
const LONGEST = 1_500;
const PANELS: readonly Panel[] = ["area", "order", "maps"];

/** The fragment of a view: it is never sent to a server. */
export function toHash(view: View): string {
  const parts: [string, string][] = [];
  if (view.camera) parts.push(["at", view.camera.map((value, index) => value.toFixed(index === 2 ? 2 : 5)).join(",")]);
  if (view.year !== null) parts.push(["year", String(view.year)]);
  if (view.panel !== "area") parts.push(["panel", view.panel]);
  if (view.job !== null) parts.push(["job", encodeURIComponent(view.job)]);
  if (view.link !== null) parts.push(["link", encodeURIComponent(view.link)]);
  if (view.other !== null) parts.push(["with", encodeURIComponent(view.other)]);
  if (view.layer !== "map") parts.push(["layer", encodeURIComponent(view.layer)]);
  if (view.opacity !== 1) parts.push(["opacity", view.opacity.toFixed(2)]);
  if (view.swipe === "on") parts.push(["swipe", "on"]);
  if (view.palette !== "official") parts.push(["palette", view.palette]);
  if (view.areaName !== "") parts.push(["name", encodeURIComponent(view.areaName)]);
  if (view.area) parts.push(["aoi", spellArea(view.area, view.areaId)]);
  return `#${parts.map(([key, value]) => `${key}=${value}`).join("&")}`;
}

/** What a fragment says of a view; what it does not say, or says wrongly, is left out. */
export function fromHash(hash: string): Partial<View> {
  const values = new Map(hash.replace(/^#/, "").split("&").map((part) => splitOnce(part)));
  const view: Partial<{ -readonly [Key in keyof View]: View[Key] }> = {};
  const camera = cameraOf(values.get("at"));
  if (camera) view.camera = camera;
  const year = Number(values.get("year"));
  if (Number.isInteger(year) && year > 0) view.year = year;
  const panel = PANELS.find((one) => one === values.get("panel")) ?? (values.has("job") ? "maps" : undefined);
  if (panel) view.panel = panel;
  if (values.has("job")) view.job = decode(values.get("job"));
  if (values.has("link")) view.link = decode(values.get("link"));
  if (values.has("with")) view.other = decode(values.get("with"));
  if (values.has("layer")) view.layer = decode(values.get("layer"));
  const opacity = Number(values.get("opacity") ?? Number.NaN);
  if (opacity >= 0 && opacity <= 1) view.opacity = opacity;
  if (values.get("swipe") === "on") view.swipe = "on";
  if (values.get("palette") === "safe") view.palette = "safe";
  if (values.has("name")) view.areaName = decode(values.get("name")).slice(0, 80);
  return { ...view, ...readArea(values.get("aoi") ?? "") };
}

function splitOnce(part: string): [string, string] {
  const at = part.indexOf("=");
  return at < 0 ? [part, ""] : [part.slice(0, at), part.slice(at + 1)];
}

function decode(text = ""): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

function cameraOf(text = ""): Camera | undefined {
  const [lon, lat, zoom] = text.split(",").map(Number);
  const known = lon !== undefined && lat !== undefined && zoom !== undefined;
  return known && Math.abs(lon) <= 360 && Math.abs(lat) <= 90 && zoom >= 0 && zoom <= 24 ? [lon, lat, zoom] : undefined;
}

function spellArea(area: Area, id: string | null): string {
  const letters = encodeArea(area);
  if (letters.length <= LONGEST) return letters;
  return id === null ? keepArea(letters) : `@${id}`;
}

/** A saved area comes later, from the server. */
function readArea(text: string): Partial<View> {
  if (text.startsWith("@")) return { areaId: decode(text.slice(1)) };
  const area = decodeArea(keptArea(text));
  return area ? { area } : {};
}
