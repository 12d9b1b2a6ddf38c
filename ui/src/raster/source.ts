import { BaseClient, BaseResponse, fromCustomClient, type GeoTIFF } from "geotiff";
import { lengthOf } from "./range";

/** Bytes of one read, and reads kept: the headers of a file take one, instead of a round trip for each of their parts. */
const READS: NonNullable<Parameters<typeof fromCustomClient>[1]> & { blockSize: number; cacheSize: number } = { blockSize: 65_536, cacheSize: 64 };
const AGAIN_MS = 400;

/** A TIFF behind an address whose server knows ranges. */
export function openTiff(href: string): Promise<GeoTIFF> {
  return fromCustomClient(new CheckedClient(href), READS);
}

/** Ranges come whole: what is cut short by a cache or a connection is asked for once more, past the cache. */
class CheckedClient extends BaseClient {
  override async request({ headers, signal }: RequestInit = {}): Promise<BaseResponse> {
    const init = { ...(headers && { headers }), signal: signal ?? null };
    try {
      return await whole(this.url, init);
    } catch (error) {
      if (signal?.aborted === true || error instanceof RefusedError) throw error;
      await new Promise((done) => setTimeout(done, AGAIN_MS));
      return whole(this.url, { ...init, cache: "reload" });
    }
  }
}

/** The server says no; asking again changes nothing. */
class RefusedError extends Error {}

async function whole(href: string, init: RequestInit): Promise<BaseResponse> {
  const response = await fetch(href, init);
  if (response.status >= 400 && response.status < 500) throw new RefusedError(`${response.status} ${href}`);
  if (!response.ok) throw new Error(`${response.status} ${href}`);
  const data = await response.arrayBuffer();
  const wanted = lengthOf(response.headers.get("content-range"));
  if (wanted !== undefined && wanted !== data.byteLength) throw new Error(`${data.byteLength} of ${wanted} bytes of ${href}`);
  return new WholeResponse(response, data);
}

class WholeResponse extends BaseResponse {
  constructor(private readonly response: Response, private readonly data: ArrayBuffer) {
    super();
  }

  override get ok(): boolean {
    return this.response.ok;
  }

  override get status(): number {
    return this.response.status;
  }

  override getHeader(name: string): string {
    return this.response.headers.get(name) ?? "";
  }

  override getData(): Promise<ArrayBuffer> {
    return Promise.resolve(this.data);
  }
}
