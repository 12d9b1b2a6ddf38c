import { openCog, warmDecoder, type Cog } from "./cog";
import { isWithin, type Rings } from "./inside";
import { equalAreaLattice, frameOf, tileLattice, type Bounds } from "./lattice";
import type { Answered, Answers, Asked, Counts, Kind, Matrix, Question } from "./messages";
import { differences, paint, paintFrame } from "./paint";
import { sample, valueAt } from "./sample";

const TILE = 512;
const LATTICE: readonly [number, number] = [480, 360];
const cancelled = new Set<number>();

async function answer(question: Question): Promise<Answers[Kind]> {
  const cog = await openCog(question.href);
  switch (question.kind) {
    case "open":
      return null;
    case "tile":
      return paint(await sample(cog, tileLattice(question.z, question.x, question.y, TILE)), question.palette, TILE);
    case "frame":
      return drawFrame(cog, question);
    case "value":
      return (await valueAt(cog, question.lon, question.lat)) ?? null;
    case "counts":
      return countIn(cog, question.bounds, question.rings);
    case "change-tile":
      return changeTile(question);
    case "matrix":
      return matrix(question.href, question.other, question.bounds);
  }
}

/** Draws what a frame shows onto a canvas of the page, which need not do anything for it to appear. */
async function drawFrame(cog: Cog, { canvas, lon, lat, zoom, ratio, palette }: Extract<Question, { kind: "frame" }>): Promise<number> {
  const frame = frameOf(lon, lat, zoom, canvas.width / ratio, canvas.height / ratio);
  const values = await sample(cog, frame.lattice);
  paintFrame(canvas, frame, ratio, values, palette);
  return values.reduce((sum, value) => (value === cog.nodata ? sum : sum + 1), 0);
}

async function changeTile(question: Extract<Question, { kind: "change-tile" }>): Promise<ImageBitmap> {
  const lattice = tileLattice(question.z, question.x, question.y, TILE);
  const [first, second] = await Promise.all([openCog(question.href), openCog(question.other)]);
  const [ours, theirs] = await Promise.all([sample(first, lattice), sample(second, lattice)]);
  const palette = new Uint32Array(256);
  palette[1] = question.colour;
  return paint(differences(ours, theirs, [first.nodata, second.nodata], question.meaning), palette, TILE);
}

async function countIn(cog: Cog, bounds: Bounds, rings: Rings | undefined): Promise<Counts> {
  const lattice = equalAreaLattice(bounds, ...LATTICE);
  const values = await sample(cog, lattice);
  const counted = rings === undefined ? values : values.filter(isWithin(lattice, rings));
  const byValue = new Array<number>(256).fill(0);
  for (const value of counted) byValue[value] = (byValue[value] as number) + 1;
  return { byValue, nodata: cog.nodata, total: counted.length };
}

async function matrix(href: string, other: string, bounds: Bounds): Promise<Matrix> {
  const lattice = equalAreaLattice(bounds, ...LATTICE);
  const [first, second] = await Promise.all([openCog(href), openCog(other)]);
  const [ours, theirs] = await Promise.all([sample(first, lattice), sample(second, lattice)]);
  const counts = new Uint32Array(256 * 256);
  ours.forEach((value, i) => {
    const found = theirs[i] as number;
    if (value === first.nodata || found === second.nodata) return;
    counts[value * 256 + found] = (counts[value * 256 + found] as number) + 1;
  });
  return { counts, total: ours.length };
}

async function serve(id: number, question: Question): Promise<void> {
  await Promise.resolve();
  if (cancelled.delete(id)) return;
  try {
    const found = await answer(question);
    const moved = found instanceof ImageBitmap ? [found] : [];
    send({ id, answer: found }, moved);
  } catch (error) {
    send({ id, error: error instanceof Error ? error.message : String(error) }, []);
  }
  cancelled.delete(id);
}

function send(message: Answered, moved: Transferable[]): void {
  self.postMessage(message, { transfer: moved });
}

self.addEventListener("message", ({ data }: MessageEvent<Asked>) => {
  if ("cancel" in data) cancelled.add(data.id);
  else void serve(data.id, data.question);
});
warmDecoder();
