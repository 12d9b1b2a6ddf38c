import { getDecoder, type BaseDecoder, type GeoTIFF, type GeoTIFFImage } from "geotiff";
import { toPlane, type ToPlane } from "./crs";
import { Recent } from "./recent";
import { openTiff } from "./source";

/** One resolution of a COG. */
export interface Level {
  readonly image: GeoTIFFImage;
  readonly width: number;
  readonly height: number;
  readonly block: number;
  /** Full-resolution pixels per pixel. */
  readonly scale: number;
}

/** A single-band byte raster, read block by block. */
export interface Cog {
  readonly href: string;
  readonly toPlane: ToPlane;
  readonly left: number;
  readonly top: number;
  readonly resolution: number;
  /** The finest first. */
  readonly levels: readonly Level[];
  readonly nodata: number;
}

const BLOCKS_KEPT = 192;
const MASK = 4;
const opened = new Map<string, Promise<Cog>>();
const blocks = new Recent<Promise<Uint8Array>>(BLOCKS_KEPT);

/** Open a COG once; a failure is forgotten, so that the next call tries again. */
export function openCog(href: string): Promise<Cog> {
  let cog = opened.get(href);
  if (cog === undefined) {
    cog = read(href);
    opened.set(href, cog);
    cog.catch(() => opened.delete(href));
  }
  return cog;
}

/** Bytes (y, x) of one block, square and padded at the raster's edge. */
export function readBlock(cog: Cog, level: Level, col: number, row: number): Promise<Uint8Array> {
  const key = `${cog.href} ${level.scale} ${col} ${row}`;
  return blocks.get(key, () => decode(level, col, row));
}

/** Brings the code of the usual compression, so that the first block need not wait for it. */
export function warmDecoder(): void {
  const DEFLATE = 8;
  void Promise.resolve(getDecoder(DEFLATE, { tileWidth: 1, tileHeight: 1, predictor: 1, bitsPerSample: [8], planarConfiguration: 1 })).catch(() => undefined);
}

async function read(href: string): Promise<Cog> {
  const tiff = await openTiff(href);
  const images = await readImages(tiff);
  const full = images[0];
  if (full === undefined) throw new Error(`${href} holds no image`);
  const [left = 0, top = 0] = full.getOrigin();
  return {
    href,
    toPlane: toPlane(epsgOf(full)),
    left,
    top,
    resolution: full.getResolution()[0] ?? 1,
    levels: images.map((image) => levelOf(image, full)),
    nodata: full.getGDALNoData() ?? 255,
  };
}

async function readImages(tiff: GeoTIFF): Promise<GeoTIFFImage[]> {
  const count = await tiff.getImageCount();
  const images = await Promise.all(Array.from({ length: count }, (_, index) => tiff.getImage(index)));
  return images.filter((image) => ((image.getFileDirectory().getValue("NewSubfileType") ?? 0) & MASK) === 0);
}

function epsgOf(image: GeoTIFFImage): number {
  const keys = image.getGeoKeys();
  return Number(keys?.ProjectedCSTypeGeoKey ?? keys?.GeographicTypeGeoKey ?? 4326);
}

function levelOf(image: GeoTIFFImage, full: GeoTIFFImage): Level {
  const scale = full.getWidth() / image.getWidth();
  return { image, width: image.getWidth(), height: image.getHeight(), block: image.getTileWidth(), scale };
}

async function decode(level: Level, col: number, row: number): Promise<Uint8Array> {
  const { data } = await level.image.getTileOrStrip(col, row, 0, await decoderOf(level.image));
  return new Uint8Array(data as ArrayBuffer);
}

async function decoderOf(image: GeoTIFFImage): Promise<BaseDecoder> {
  const directory = image.getFileDirectory();
  const bits = await directory.loadValue("BitsPerSample");
  return getDecoder(directory.getValue("Compression") ?? 1, {
    tileWidth: image.getTileWidth(),
    tileHeight: image.getTileHeight(),
    predictor: (await directory.loadValue("Predictor")) ?? 1,
    bitsPerSample: Array.from(bits ?? [8]),
    planarConfiguration: directory.getValue("PlanarConfiguration") ?? 1,
  });
}
