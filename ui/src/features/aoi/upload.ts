import { fromGeoJson } from "@/area/parse";
import type { Area } from "@/area/geometry";
import { answered, api } from "@/api/client";

/** The area of a vector file that the server reads. Throws ProblemError with its reason. */
export async function readByServer(file: File): Promise<Area> {
  const draft = await answered(
    api.POST("/api/v1/aois/convert", {
      params: { query: { filename: file.name } },
      body: file as never,
      bodySerializer: (body: unknown) => body as BodyInit,
      headers: { "content-type": "application/octet-stream" },
    }),
  );
  return fromGeoJson(draft.geometry);
}
