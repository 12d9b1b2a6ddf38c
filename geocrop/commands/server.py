"""What these commands share: the server, the order of a command line, and what it is followed with."""

import argparse
import sys

import msgspec

from api.schemas import MapOrder, PhaseEvent
from geocrop.client import Client, Event, Job
from steps.errors import UsageError
from steps.progress import console
from steps.requests import epsg_of, named_rasters
from steps.settings import settings

_ONLY_HERE = ("zones", "parcels", "legend", "workers", "plan", "store")
"""Arguments that a server does not take."""


def open_client(arguments: argparse.Namespace) -> Client:
    """The server of `--server`. Raises UsageError for an argument that it would not heed."""
    for name in _ONLY_HERE:
        if getattr(arguments, name, None):
            raise UsageError(f"--{name} is not for servers", "leave it out, or leave out --server")
    return Client(arguments.server, key=settings().key)


def order_of(client: Client, arguments: argparse.Namespace) -> MapOrder:
    """The map that a command line asks for."""
    return client.order(
        arguments.aoi,
        arguments.season,
        arguments.model,
        name=arguments.name,
        catalog=arguments.catalog,
        collection=arguments.collection,
        epsg=epsg_of(arguments.crs),
        tile_size=arguments.tile_size,
        min_coverage=arguments.min_coverage,
        max_cloud=arguments.max_cloud,
        exclude_bad_scenes=not arguments.strict_scenes,
        probabilities=arguments.probabilities,
        min_unit_px=arguments.min_unit,
        mask=arguments.mask,
        layers=named_rasters(arguments.layer),
        baseline_year=_year(arguments.baseline),
        probe=not arguments.no_probe,
    )


def _year(text: str) -> int | None:
    if text and not (text.isascii() and text.isdecimal()):
        raise UsageError(f"--baseline {text!r} is no year", "a server has baselines by year, as 2021")
    return int(text) if text else None


def follow(job: Job) -> Job:
    """Say how a job goes until it has a map; it goes on when nobody listens any more."""
    console().print(f"job {job.id}: see it again with `geocrop status {job.id} --server`")
    return job.wait(on_event=_say)


def _say(event: Event) -> None:
    data = event.data
    if isinstance(data, PhaseEvent):
        console().print(str(data.phase))
    else:
        done = data.counts.succeeded + data.counts.failed
        console().print(f"tiles: {done}/{data.counts.total}")


def write_json(found: object) -> None:
    """To standard output."""
    sys.stdout.write(msgspec.json.format(msgspec.json.encode(found)).decode() + "\n")
