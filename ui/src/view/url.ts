import { decodeArea, encodeArea } from "./polyline";
import type { Camera, Panel, View } from "./store";

/** Longer areas stay in this browser and are named by reference. */
const LONGEST = 1_500;
const DRAFT = "geocrop.area";
const PANELS: readonly Panel[] = ["area", "order", "maps"];

/** The fragment of a view: it is never sent to a server. */
export function toHash(view: View): string {
  const parts: [string, string][] = [];
  if (view.camera) parts.push(["at", view.camera.map((value, index) => value.toFixed(index === 2 ? 2 : 5)).join(",")]);
  if (view.year !== null) parts.push(["year", String(view.year)]);
  if (view.panel !== "area") parts.push(["panel", view.panel]);
  if (view.job !== null) parts.push(["job", encodeURIComponent(view.job)]);
  if (view.other !== null) parts.push(["with", encodeURIComponent(view.other)]);
  if (view.layer !== "map") parts.push(["layer", encodeURIComponent(view.layer)]);
  if (view.opacity !== 1) parts.push(["opacity", view.opacity.toFixed(2)]);
  if (view.swipe === "on") parts.push(["swipe", "on"]);
  if (view.palette !== "official") parts.push(["palette", view.palette]);
  if (view.areaName !== "") parts.push(["name", encodeURIComponent(view.areaName)]);
  if (view.area) parts.push(["aoi", reference(encodeArea(view.area))]);
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
  const panel = PANELS.find((one) => one === values.get("panel"));
  if (panel) view.panel = panel;
  if (values.has("job")) view.job = decode(values.get("job"));
  if (values.has("with")) view.other = decode(values.get("with"));
  if (values.has("layer")) view.layer = decode(values.get("layer"));
  const opacity = Number(values.get("opacity") ?? Number.NaN);
  if (opacity >= 0 && opacity <= 1) view.opacity = opacity;
  if (values.get("swipe") === "on") view.swipe = "on";
  if (values.get("palette") === "safe") view.palette = "safe";
  if (values.has("name")) view.areaName = decode(values.get("name")).slice(0, 80);
  const area = decodeArea(dereference(values.get("aoi") ?? ""));
  if (area) view.area = area;
  return view;
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

function reference(letters: string): string {
  if (letters.length <= LONGEST) return letters;
  try {
    localStorage.setItem(DRAFT, letters);
  } catch {
    return letters;
  }
  return "*";
}

function dereference(text: string): string {
  return text === "*" ? (localStorage.getItem(DRAFT) ?? "") : text;
}
