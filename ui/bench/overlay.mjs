// How long after its publishing a map lies over the baseline, in a page that watches the job.
import { statSync } from "node:fs";

/** Degrees between the areas of rounds, so that none finds another's tiles. */
const APART = 0.03;
const ORDER = {
  name: "Overlay", season: { start: "2021-10-01", end: "2022-09-30" }, catalog: "demo", collection: "", aoi_id: "",
  aoi: { type: "Polygon", coordinates: [[[31.09, -17.84], [31.1, -17.84], [31.1, -17.83], [31.09, -17.83], [31.09, -17.84]]] },
};

/** Milliseconds from the last file of a map's publishing to its first frame over the baseline, in a page that watches. */
export async function overlay(browser, page, store, round) {
  const post = async (path, body) => {
    const headers = { "content-type": "application/json", "idempotency-key": `bench-${Date.now()}` };
    const answer = await fetch(`${page}/api/v1/${path}`, { method: "POST", headers, body: JSON.stringify(body) });
    if (!answer.ok) throw new Error(await answer.text());
    return answer.json();
  };
  const [{ name, version }] = await (await fetch(`${page}/api/v1/models`)).json();
  const aoi = { ...ORDER.aoi, coordinates: ORDER.aoi.coordinates.map((ring) => ring.map(([lon, lat]) => [lon, lat - round * APART])) };
  const { id: quote } = await post("quotes", { ...ORDER, aoi, model: `${name}/${version}` });
  const { id } = await post("jobs", { quote });
  const tab = await browser.newPage({ viewport: { width: 1280, height: 800 } });
  await tab.goto(`${page}/#job=${id}`);
  const seen = await tab.waitForFunction(() => {
    const map = window.geocropMap;
    const there = map?.getLayersOrder().some((layer) => layer.startsWith("result-") && map.getPaintProperty(layer, "raster-opacity") === 1);
    return there ? performance.timeOrigin + performance.now() : false;
  }, null, { timeout: 900_000, polling: "raf" });
  const published = statSync(`${store}/maps/${id}/item.json`).mtimeMs;
  const at = await seen.jsonValue();
  await tab.close();
  return at - published;
}
