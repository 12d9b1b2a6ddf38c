"""A client of the API, typed and synchronous.

    with Client("http://127.0.0.1:8000") as client:
        maize = client.map("farm.geojson", "2021-10-01/2022-09-30").wait().to_xarray()

Errors are those of `geocrop.errors`. What fails for a moment is tried again; a job is submitted once all the same.
"""

import datetime as dt
import json
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol, Self

import httpx
import msgspec

from api.schemas import (
    AoiDraft,
    AoiOrder,
    AoiPage,
    AoiView,
    BaselineView,
    BBox,
    CatalogView,
    JobOrder,
    JobPage,
    JobView,
    LinkOrder,
    LinkView,
    LogLine,
    MapOrder,
    ModelView,
    OrderOptions,
    PhaseEvent,
    PlannedEvent,
    QuoteView,
    ResultView,
    SeasonOrder,
    TileCollection,
    TilesEvent,
)
from geocrop.errors import AwayError, JobError, RefusedError
from geocrop.http import Http
from steps.errors import UsageError
from steps.model.job import Phase

if TYPE_CHECKING:
    import xarray as xr

_ACTIVE = {Phase.QUEUED, Phase.RUNNING}
_MAPPED = {Phase.SUCCEEDED, Phase.PARTIAL}
_AGAIN_SECONDS = 0.5
_EVENTS: dict[str, type[PhaseEvent | PlannedEvent | TilesEvent]] = {
    "phase": PhaseEvent,
    "planned": PlannedEvent,
    "tiles": TilesEvent,
}


class HasGeometry(Protocol):
    """What shapely, geopandas and others offer."""

    @property
    def __geo_interface__(self) -> Mapping[str, Any]:
        """GeoJSON."""


Area = str | Path | Mapping[str, Any] | HasGeometry | AoiView
"""A vector file, GeoJSON, something with a geometry in lon/lat, or an area that the server has saved."""
Season = str | tuple[dt.date, dt.date] | SeasonOrder
"""START/END, or first and last day, both inclusive."""
Box = BBox | list[float]


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """What happened to a job."""

    id: int
    data: PhaseEvent | PlannedEvent | TilesEvent


class Client:
    """A server, and what its caller may see there."""

    def __init__(
        self,
        url: str = "http://127.0.0.1:8000",
        *,
        key: str = "",
        patience: float = 60.0,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        """With an API key where the server wants one; `patience`: seconds to wait for a server that is away."""
        self._http = Http(url, key, patience, transport)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Let go of connections."""
        self._http.close()

    # -- what there is to choose from ------------------------------------------------------------------------------

    def models(self) -> list[ModelView]:
        """Every version of every model."""
        return self._http.get("/models", list[ModelView])

    def baselines(self) -> list[BaselineView]:
        """The years of Dynamic World that the server has."""
        return self._http.get("/baselines", list[BaselineView])

    def catalogs(self) -> list[CatalogView]:
        """The catalogs that jobs may read."""
        return self._http.get("/catalogs", list[CatalogView])

    def convert(self, path: str | Path) -> AoiDraft:
        """The area in any vector file, checked; nothing is saved."""
        file = Path(path)
        return self._http.upload("/aois/convert", file.read_bytes(), AoiDraft, filename=file.name)

    def save(self, name: str, area: Area) -> AoiView:
        """Keep an area under a name."""
        return self._http.post("/aois", AoiView, AoiOrder(name=name, geometry=self._geojson(area)))

    def aois(self, bbox: Box | None = None) -> Iterator[AoiView]:
        """Saved areas, the newest first; only those that touch a box."""
        return self._paged("/aois", AoiPage, bbox=_text(bbox))

    # -- jobs ------------------------------------------------------------------------------------------------------

    def order(self, aoi: Area, season: Season, model: str = "", **choices: Any) -> MapOrder:
        """A map to ask for. `choices`: name, catalog, collection, and the fields of OrderOptions.

        Without a model: the champion of the only name that there is.
        """
        named = {name: choices.pop(name, "") for name in ("name", "catalog", "collection")}
        saved = aoi.id if isinstance(aoi, AoiView) else ""
        return MapOrder(
            season=_season(season),
            model=model or self._only_model(),
            aoi=None if saved else self._geojson(aoi),
            aoi_id=saved,
            options=_options(choices),
            **{**named, "name": named["name"] or _name(aoi)},
        )

    def quote(self, order: MapOrder) -> QuoteView:
        """What a map would cost; `submit` takes the quote for the order."""
        return self._http.post("/quotes", QuoteView, order)

    def submit(self, order: MapOrder | QuoteView) -> "Job":
        """A job."""
        body = JobOrder(quote=order.id) if isinstance(order, QuoteView) else JobOrder(order=order)
        return Job(self._http, self._http.post("/jobs", JobView, body))

    def map(self, aoi: Area, season: Season, model: str = "", **choices: Any) -> "Job":
        """A job that maps an area: `order` and `submit` in one."""
        return self.submit(self.order(aoi, season, model, **choices))

    def job(self, job: str) -> "Job":
        """A job by its id."""
        return Job(self._http, self._http.get(f"/jobs/{job}", JobView))

    def jobs(
        self,
        *,
        phase: Phase | None = None,
        since: dt.datetime | None = None,
        until: dt.datetime | None = None,
        bbox: Box | None = None,
    ) -> Iterator["Job"]:
        """Jobs, the newest first, read page by page."""
        asked = {
            "phase": phase and str(phase),
            "since": since and since.isoformat(),
            "until": until and until.isoformat(),
            "bbox": _text(bbox),
        }
        return (Job(self._http, view) for view in self._paged("/jobs", JobPage, **asked))

    def _paged(self, path: str, page: Any, **asked: Any) -> Iterator[Any]:
        cursor: str | None = None
        while True:
            found = self._http.get(path, page, cursor=cursor, **asked)
            yield from found.items
            if (cursor := found.next) is None:
                return

    def _only_model(self) -> str:
        names = sorted({model.name for model in self.models()})
        if len(names) != 1:
            raise UsageError(f"the server has {len(names)} models", f"name one of: {', '.join(names) or 'none'}")
        return f"{names[0]}@champion"

    def _geojson(self, area: Area) -> dict[str, Any]:
        if isinstance(area, Mapping):
            return dict(area)
        if isinstance(area, AoiView):
            return area.geometry
        if isinstance(area, str | Path):
            return self.convert(area).geometry
        return json.loads(json.dumps(area.__geo_interface__))


class Job:
    """A job as it stood when it was last looked at; `refresh` looks again."""

    def __init__(self, http: Http, view: JobView) -> None:
        self._http, self._view = http, view

    def __repr__(self) -> str:
        return f"Job({self.id!r}, {self.phase})"

    @property
    def view(self) -> JobView:
        """All that is known of it."""
        return self._view

    @property
    def id(self) -> str:
        """Its id."""
        return self._view.id

    @property
    def phase(self) -> Phase:
        """Where it stands."""
        return self._view.phase

    def refresh(self) -> Self:
        """Look again."""
        self._view = self._http.get(self._path(), JobView)
        return self

    def wait(self, timeout: float | None = None, on_event: Callable[[Event], None] | None = None) -> Self:
        """Until it has a map. Raises JobError when it ends without one, TimeoutError after `timeout` seconds."""
        until = None if timeout is None else time.monotonic() + timeout
        for event in self.events(until=until):
            if on_event is not None:
                on_event(event)
        if self.refresh().phase not in _MAPPED:
            raise JobError(self._view)
        return self

    def events(self, after: int = 0, *, until: float | None = None) -> Iterator[Event]:
        """What has happened since an event and what happens, until the job ends; lost connections are made again.

        Raises TimeoutError after the monotonic time `until`, at the next sign of life.
        """
        while True:
            try:
                with self._http.lines(self._path("/events"), after=after) as lines:
                    for event in _events(lines, until):
                        after = event.id
                        yield event
                if self.refresh().phase not in _ACTIVE:
                    return
            except AwayError:
                _check_time(until)
            time.sleep(_AGAIN_SECONDS)

    def tiles(self) -> TileCollection:
        """Its tiles as GeoJSON."""
        return self._http.get(self._path("/tiles"), TileCollection)

    def logs(self, tile: str = "", *, follow: bool = False) -> Iterator[LogLine]:
        """Its log, or that of one tile; with `follow` until it ends."""
        with self._http.lines(self._path("/logs"), tile=tile, follow="true" if follow else "") as lines:
            for line in lines:
                yield msgspec.json.decode(line, type=LogLine)

    def result(self) -> ResultView:
        """The map: STAC item, layers, areas, downloads."""
        return self._http.get(self._path("/result"), ResultView)

    def download(self, folder: str | Path, *names: str) -> list[Path]:
        """Files of the map, all of them unless named; a file is there whole or not at all."""
        found = {one.name: one.href for one in self.result().downloads}
        if unknown := set(names) - set(found):
            raise UsageError(f"job {self.id} has no file {min(unknown)}", f"it has {', '.join(sorted(found))}")
        target = Path(folder)
        target.mkdir(parents=True, exist_ok=True)
        for name in names or found:
            self._http.download(found[name], target / name)
        return [target / name for name in names or found]

    def to_xarray(self, layer: str = "map") -> "xr.DataArray":
        """A layer of the map: dimensions (band, y, x) or (y, x), centres of pixels in the CRS of `attrs["crs"]`.

        `attrs` has nodata and, for the map, the classes.
        """
        from geocrop.rasters import read_layer  # noqa: PLC0415 - whoever only submits needs no raster library

        result = self.result()
        if layer not in result.layers:
            raise UsageError(f"job {self.id} has no layer {layer}", f"it has {', '.join(sorted(result.layers))}")
        classes = {area.code: area.name for area in result.areas}
        return read_layer(layer, lambda path: self._http.download(result.layers[layer].href, path), classes)

    def cancel(self) -> Self:
        """Ask it to stop; a moment later it has."""
        self._view = self._http.post(self._path("/cancel"), JobView)
        return self

    def retry(self) -> Self:
        """Queue what is unfinished again."""
        self._view = self._http.post(self._path("/retry"), JobView)
        return self

    def delete(self) -> None:
        """With its map; tiles that other jobs need stay."""
        self._http.request("DELETE", self._path())

    def share(self, days: int = 30) -> LinkView:
        """A read-only link for somebody without an account."""
        return self._http.post(self._path("/links"), LinkView, LinkOrder(days=days))

    def _path(self, rest: str = "") -> str:
        return f"/jobs/{self.id}{rest}"


# -- what comes in -------------------------------------------------------------------------------------------------


def _events(lines: Iterator[str], until: float | None) -> Iterator[Event]:
    """Server-sent events: fields until an empty line; comments keep the connection alive."""
    fields: dict[str, str] = {}
    for line in lines:
        _check_time(until)
        name, _, value = line.partition(": ")
        if line:
            fields[name] = value
        elif "data" in fields:
            yield Event(id=int(fields["id"]), data=msgspec.json.decode(fields["data"], type=_EVENTS[fields["event"]]))
            fields = {}


def _check_time(until: float | None) -> None:
    if until is not None and time.monotonic() > until:
        raise TimeoutError("the job has not ended yet")


def _season(season: Season) -> SeasonOrder:
    if isinstance(season, SeasonOrder):
        return season
    try:
        start, end = season.split("/") if isinstance(season, str) else season
        return msgspec.convert({"start": start, "end": end}, SeasonOrder)
    except (ValueError, msgspec.ValidationError):
        raise UsageError(f"season {season!r} is none", "write it as 2018-09-01/2019-08-31") from None


def _options(choices: dict[str, Any]) -> OrderOptions:
    try:
        return msgspec.convert(choices, OrderOptions)
    except msgspec.ValidationError as error:
        raise RefusedError(f"the choices do not fit: {error}", "see api.schemas.OrderOptions") from None


def _name(area: Area) -> str:
    return Path(area).stem[:80] if isinstance(area, str | Path) else ""


def _text(box: Box | None) -> str | None:
    return None if box is None else ",".join(map(str, box))
