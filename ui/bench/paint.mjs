// When the baseline is first on the screen: from the pictures of the screen that Chromium keeps while it traces.

/** Colours of Dynamic World, of which a JPEG keeps about as much. */
const COLOURS = ["419bdf", "397d49", "88b053", "e49635", "dfc35a", "c4281b", "a59b8f"].map((hex) => [0, 2, 4].map((at) => Number.parseInt(hex.slice(at, at + 2), 16)));
const NEAR = 40;
const ENOUGH = 0.5;

/** Milliseconds from the start of the navigation to the first picture whose middle is mostly baseline, and all pictures since. */
export async function firstPixel(browser, tab, load, navigates = true) {
  await browser.startTracing(tab, { screenshots: true, categories: ["blink.user_timing", "disabled-by-default-devtools.screenshot"] });
  await load();
  const { traceEvents } = JSON.parse((await browser.stopTracing()).toString());
  const begun = traceEvents.find(({ name, args }) => name === "navigationStart" && args.data?.isLoadingMainFrame && args.data.documentLoaderURL?.startsWith("http"));
  const start = navigates ? begun.ts : 0;
  const shots = traceEvents.filter(({ name, ts }) => name === "Screenshot" && ts >= start);
  const frames = [];
  for (const { ts, args } of shots) frames.push({ at: (ts - start) / 1000, jpeg: args.snapshot, share: await shareOfBaseline(tab, args.snapshot) });
  return { at: frames.find(({ share }) => share > ENOUGH)?.at ?? Number.NaN, frames };
}

/** Share of the middle of a picture whose colours are the baseline's. */
function shareOfBaseline(tab, jpeg) {
  return tab.evaluate(async ({ jpeg, colours, near }) => {
    const bitmap = await createImageBitmap(new Blob([Uint8Array.from(atob(jpeg), (letter) => letter.charCodeAt(0))]));
    const [left, top, width, height] = [0.45, 0.3, 0.3, 0.4].map((share, i) => Math.round(share * (i % 2 === 0 ? bitmap.width : bitmap.height)));
    const context = new OffscreenCanvas(bitmap.width, bitmap.height).getContext("2d");
    context.drawImage(bitmap, 0, 0);
    const { data } = context.getImageData(left, top, width, height);
    let hits = 0;
    for (let i = 0; i < data.length; i += 4) if (colours.some((colour) => colour.every((value, band) => Math.abs(value - data[i + band]) < near))) hits++;
    return hits / (width * height);
  }, { jpeg, colours: COLOURS, near: NEAR });
}
