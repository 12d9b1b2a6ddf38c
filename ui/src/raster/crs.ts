import proj4 from "proj4";

/** From lon/lat in degrees to x, y on the plane of a CRS. */
export type ToPlane = (lon: number, lat: number) => [number, number];

const DEFINITIONS: Record<number, string> = {
  3857: "EPSG:3857",
  6933: "+proj=cea +lat_ts=30 +lon_0=0 +x_0=0 +y_0=0 +datum=WGS84 +units=m +no_defs",
};

/** Throws for a CRS that the browser does not know: WGS84, its UTM zones, web mercator and EPSG:6933 are known. */
export function toPlane(epsg: number): ToPlane {
  if (epsg === 4326) return (lon, lat) => [lon, lat];
  const converter = proj4(definition(epsg));
  return (lon, lat) => converter.forward<[number, number]>([lon, lat]);
}

function definition(epsg: number): string {
  const zone = epsg % 100;
  const hemisphere = Math.floor(epsg / 100);
  if ((hemisphere === 326 || hemisphere === 327) && zone >= 1 && zone <= 60) {
    return `+proj=utm +zone=${zone}${hemisphere === 327 ? " +south" : ""} +datum=WGS84 +units=m +no_defs`;
  }
  const known = DEFINITIONS[epsg];
  if (known === undefined) throw new Error(`EPSG:${epsg} is not drawn in the browser`);
  return known;
}
