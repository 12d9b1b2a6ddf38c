import { AreaError, parseArea } from "@/area/parse";
import { strings } from "@/strings";
import { refusalText } from "./fault";
import { takeArea, useAreaState } from "./state";
import { readByServer } from "./upload";

/** Takes the area of a text; says in words why not. */
export function bringText(text: string, name?: string): boolean {
  try {
    takeArea(parseArea(text), { fit: true, ...(name === undefined ? {} : { name }) });
    return true;
  } catch (error) {
    if (!(error instanceof AreaError)) throw error;
    useAreaState.setState({ refusal: refusalText(error) });
    return false;
  }
}

/** Takes the area of a file: GeoJSON and WKT here, all others by the server. */
export async function bringFile(file: File): Promise<void> {
  const name = file.name.replace(/\.[^.]+$/, "").slice(0, 80);
  if (/\.(geo)?json$|\.wkt$|\.txt$|\.csv$/i.test(file.name)) {
    bringText(await file.text(), name);
    return;
  }
  try {
    takeArea(await readByServer(file), { fit: true, name });
  } catch (error) {
    const said = error instanceof Error && error.name === "ProblemError" ? error.message : strings.area.serverNeeded;
    useAreaState.setState({ refusal: said });
  }
}
