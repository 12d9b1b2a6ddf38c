export interface Scale {
  readonly label: string;
  readonly pixels: number;
}

const WIDEST_PX = 84;
const ZOOM_0_M = 78_271.517;
/** Metres per pixel on the equator at zoom 0, with tiles of 512 px. */

/** The longest round length that fits a scale bar. */
export function scaleFor(lat: number, zoom: number): Scale {
  const metres = (ZOOM_0_M * Math.cos((lat * Math.PI) / 180)) / 2 ** zoom;
  const most = metres * WIDEST_PX;
  const power = 10 ** Math.floor(Math.log10(most));
  const length = ([5, 2, 1].find((digit) => digit * power <= most) ?? 1) * power;
  return { label: length >= 1_000 ? `${length / 1_000} km` : `${length} m`, pixels: Math.round(length / metres) };
}
