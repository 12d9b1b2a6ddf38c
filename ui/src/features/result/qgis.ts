import type { Schemas } from "@/api/client";
import { inPalette, type PaletteName } from "@/legend/dynamicWorld";

/**
 * A layer definition (.qlr) that QGIS opens by double click or drag: the COG itself, read over HTTP, in the map's colours.
 * Undefined where there is no map. Works as long as the result's addresses do.
 */
export function qgisLayer(result: Schemas["ResultView"], name: string, palette: PaletteName): string | undefined {
  const href = result.layers["map"]?.href;
  if (href === undefined) return undefined;
  const source = escape(`/vsicurl/${new URL(href, document.baseURI).href}`);
  const id = escape(`geocrop-${result.job}`);
  const title = escape(name);
  const entries = inPalette(result.areas, palette).map((one) => `<paletteEntry value="${one.code}" color="#${one.colour}" alpha="255" label="${escape(one.name)}"/>`);
  return `<!DOCTYPE qgis-layer-definition>
<qlr>
  <layer-tree-group name="" expanded="1" checked="Qt::Checked">
    <layer-tree-layer id="${id}" name="${title}" source="${source}" providerKey="gdal" checked="Qt::Checked" expanded="1"/>
  </layer-tree-group>
  <maplayers>
    <maplayer type="raster">
      <id>${id}</id>
      <datasource>${source}</datasource>
      <layername>${title}</layername>
      <srs><spatialrefsys><authid>${escape(crsOf(result))}</authid></spatialrefsys></srs>
      <provider>gdal</provider>
      <pipe>
        <rasterrenderer type="paletted" band="1" opacity="1" alphaBand="-1" nodataColor=""><colorPalette>${entries.join("")}</colorPalette></rasterrenderer>
      </pipe>
    </maplayer>
  </maplayers>
</qlr>
`;
}

/** QGIS 3.22 takes none from the file where the definition names none. */
function crsOf({ item }: Schemas["ResultView"]): string {
  const properties = item["properties"];
  const code = typeof properties === "object" && properties !== null && "proj:code" in properties ? properties["proj:code"] : "";
  return typeof code === "string" ? code : "";
}

function escape(text: string): string {
  return text.replace(/[&<>"]/g, (letter) => `&#${letter.charCodeAt(0)};`);
}
