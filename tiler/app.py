"""TiTiler's own factories over the objects of one store. Nothing but its objects is ever opened.

    /baselines.json                            the years of Dynamic World: the web page reads it, whatever else answers
    /baselines/{year}/{version}/...            Dynamic World, for everybody
    /maps/{job}/{layer}/{version}/...          a layer of a map, signed by the API; also as a small `preview.png`
    /files/{key}                               an object as it is, signed; GET, HEAD and ranges

Versions are of the content: answers hold for ever. The second and third have TiTiler's `tiles`, `tilejson.json`,
`info`, `point` and `statistics`; with `palette=safe` classes have colours that all kinds of colour vision tell apart.
"""

import functools
import json
import posixpath
import time
from typing import Annotated, Any, Literal

from fastapi import Depends, FastAPI, HTTPException, Request
from fastapi.responses import FileResponse, JSONResponse, Response
from rasterio.errors import RasterioIOError
from starlette.middleware.cors import CORSMiddleware
from titiler.core.errors import DEFAULT_STATUS_CODES, add_exception_handlers
from titiler.core.factory import TilerFactory

from api.hrefs import Hrefs
from api.secrets import same, signature
from steps import naming
from steps.counterparts import safe_colours
from steps.dynamic_world import list_baselines
from steps.errors import DataError, GeoCropError, TryAgainError
from steps.model.job import REASON_CODES
from steps.palette import (
    CLEAR_RAMP,
    CONFIDENCE_RAMP,
    DISAGREEMENT_COLOURS,
    REASON_COLOURS,
    SAFE_DYNAMIC_WORLD,
    ramp_colour,
    rgb,
)
from steps.store import NotAKeyError, Store, checked

_FOREVER = "public, max-age=31536000, immutable"
_FOR_A_MOMENT = "public, max-age=10, stale-while-revalidate=3600"
_PARAMETERS = {"expires", "signature", "tilesize", "tile_format", "palette", "max_size"}
"""All others of TiTiler's are refused: they would make a tile cost more than a tile."""
_LARGEST = 1024
_LARGEST_PREVIEW = 256
_NOT_THERE = ("does not exist", "no such file", "not recognized as being in a supported", "404", "nosuchkey")
_CLASSES = {"map", "generalised"}
Palette = Literal["official", "safe"]
Colours = dict[int, tuple[int, int, int, int]]


def make_tiler(store: Store, hrefs: Hrefs) -> FastAPI:
    """The application over a store; `hrefs` has the API's secret."""
    app = FastAPI(title="GeoCrop tiles", docs_url=None, redoc_url=None)
    _add_baselines(app, store)
    _add_page_baselines(app, store, hrefs)
    _add_maps(app, store, hrefs.tiler_secret)
    _add_files(app, store, hrefs.tiler_secret)
    add_exception_handlers(app, DEFAULT_STATUS_CODES)
    app.add_exception_handler(RasterioIOError, _not_read)
    app.add_exception_handler(GeoCropError, _not_stored)
    app.middleware("http")(_bounded)
    app.add_middleware(
        CORSMiddleware,
        allow_origins=["*"],
        allow_methods=["GET", "HEAD"],
        allow_headers=["Range"],
        expose_headers=["Content-Range", "Content-Length", "ETag", "Accept-Ranges"],
    )

    @app.get("/healthz")
    def healthz() -> dict[str, str]:
        return {"status": "ok"}

    return app


def raster_path(store: Store, key: str) -> str:
    """What GDAL calls an object of the store."""
    href = store.href(checked(key))
    return f"/vsis3/{href.removeprefix('s3://')}" if href.startswith("s3://") else href


def _factory(prefix: str, path: Any, colours: Any, *, preview: bool = False) -> TilerFactory:
    return TilerFactory(
        router_prefix=prefix,
        path_dependency=path,
        colormap_dependency=colours,
        add_preview=preview,
        add_part=False,
        add_viewer=False,
    )


def _add_baselines(app: FastAPI, store: Store) -> None:
    def path(year: int, version: str) -> str:  # noqa: ARG001 - no other address has the same pixels
        return raster_path(store, naming.baseline_key(year))

    prefix = "/baselines/{year}/{version}"
    app.include_router(_factory(prefix, path, _baseline_colours).router, prefix=prefix, tags=["baselines"])


def _add_page_baselines(app: FastAPI, store: Store, hrefs: Hrefs) -> None:
    @app.get("/baselines.json")
    def baselines() -> JSONResponse:
        found = {"baselines": hrefs.of_baselines(list_baselines(store))}
        return JSONResponse(found, headers={"Cache-Control": _FOR_A_MOMENT})


def _add_maps(app: FastAPI, store: Store, secret: str) -> None:
    def path(job: str, layer: str, version: str, signed: Annotated[None, Depends(signed_path)]) -> str:  # noqa: ARG001
        if layer not in naming.MAP_LAYERS:
            raise HTTPException(404, f"a map has no layer {layer[:40]}")
        return raster_path(store, naming.map_key(job, f"{layer}.tif"))

    @functools.lru_cache(maxsize=256)
    def safe(job: str, _version: str) -> Colours:
        return _safe_map_colours(store, job)

    def colours(job: str, layer: str, version: str, palette: Palette = "official") -> Colours | None:
        return safe(job, version) if layer in _CLASSES and palette == "safe" else layer_colours(layer)

    prefix = "/maps/{job}/{layer}/{version}"
    factory = _factory(prefix, path, colours, preview=True)
    app.include_router(factory.router, prefix=prefix, tags=["maps"])
    app.dependency_overrides[signed_path] = _signed_map(secret)


def signed_path() -> None:
    """Replaced by a check against the secret."""
    raise HTTPException(403, "no secret is set")


def _signed_map(secret: str) -> Any:
    def check(job: str, layer: str, version: str, expires: str = "", signature: str = "") -> None:
        _check(secret, f"maps/{job}/{layer}/{version}", expires, signature)

    return check


def _check(secret: str, path: str, expires: str, given: str) -> None:
    """Raises a 403 for an address that the API did not sign, or that is too old."""
    if not (expires.isascii() and expires.isdecimal()) or not same(signature(secret, path, expires), given):
        raise HTTPException(403, "the address is not signed: ask for the result again")
    if int(expires) < time.time():
        raise HTTPException(403, "the address is too old: ask for the result again")


def _add_files(app: FastAPI, store: Store, secret: str) -> None:
    @app.api_route("/files/{key:path}", methods=["GET", "HEAD"])
    def file(key: str, expires: str = "", signature: str = "") -> Response:
        _check(secret, f"files/{key}", expires, signature)
        with store.local_path(key) as path:
            name = posixpath.basename(key)
            return FileResponse(path, filename=name, headers={"Cache-Control": "private, max-age=300"})


def _baseline_colours(palette: Palette = "official") -> Colours | None:
    return _opaque(dict(enumerate(SAFE_DYNAMIC_WORLD))) if palette == "safe" else None


def _safe_map_colours(store: Store, job: str) -> Colours:
    """Of the classes that a map's item names."""
    item = json.loads(store.get_bytes(naming.item_key(job)))
    return _opaque(safe_colours({one["code"]: one["name"] for one in item["properties"]["geocrop:classes"]}))


def _opaque(colours: dict[int, str]) -> Colours:
    return {value: (*rgb(colour), 255) for value, colour in colours.items()}


def layer_colours(layer: str) -> Colours | None:
    """The colour of each value of a layer; None where the file has its own, or is a picture."""
    if layer in {"confidence", "margin"}:
        return _ramp(CONFIDENCE_RAMP, 100)
    if layer == "clear":
        return _ramp(CLEAR_RAMP, 40)
    if layer == "disagreement":
        return {value: (*rgb(colour), 255) for value, colour in DISAGREEMENT_COLOURS.items()}
    if layer == "reason":
        return {REASON_CODES[reason]: (*rgb(colour), 255) for reason, colour in REASON_COLOURS.items()}
    return None


def _ramp(ramp: tuple[str, ...], most: int) -> Colours:
    return {value: (*ramp_colour(ramp, min(1.0, value / most)), 255) for value in range(255)}


# -- answers -------------------------------------------------------------------------------------------------------


async def _bounded(request: Request, call_next: Any) -> Response:
    """Refuse what a tile does not need; say how long answers hold."""
    if refusal := _refusal(request):
        return JSONResponse({"detail": refusal}, status_code=400)
    response: Response = await call_next(request)
    if response.status_code == 200 and request.url.path.startswith(("/maps/", "/baselines/")):
        response.headers["Cache-Control"] = _FOREVER
    else:
        response.headers.setdefault("Cache-Control", "no-store")
    return response


def _refusal(request: Request) -> str:
    if unknown := set(request.query_params) - _PARAMETERS:
        return f"unknown parameter {min(unknown)[:40]}"
    size = request.query_params.get("tilesize", "256")
    if not (size.isascii() and size.isdecimal() and 0 < int(size[:6]) <= _LARGEST):
        return f"tilesize is not from 1 to {_LARGEST}"
    if "/preview" in request.url.path:
        return _preview_refusal(request)
    return ""


def _preview_refusal(request: Request) -> str:
    """Without a size, TiTiler would read far more than a thumbnail takes."""
    size = request.query_params.get("max_size", "")
    if not (size.isascii() and size.isdecimal() and 0 < int(size[:6]) <= _LARGEST_PREVIEW):
        return f"give max_size, from 1 to {_LARGEST_PREVIEW}"
    return ""


def _not_read(_request: Request, error: Exception) -> JSONResponse:
    """An object that is not there is a 404; one that cannot be read now is not our fault, nor the caller's."""
    said = str(error).lower()
    if any(part in said for part in _NOT_THERE):
        return JSONResponse({"detail": "there is no such raster"}, status_code=404)
    return JSONResponse({"detail": "the raster cannot be read now"}, status_code=503, headers={"Retry-After": "5"})


def _not_stored(_request: Request, error: Exception) -> JSONResponse:
    if isinstance(error, DataError | NotAKeyError):
        return JSONResponse({"detail": "there is no such object"}, status_code=404)
    said = "the store does not answer" if isinstance(error, TryAgainError) else "the store refuses the server of tiles"
    return JSONResponse({"detail": said}, status_code=503, headers={"Retry-After": "5"})
