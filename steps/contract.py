"""Every command and step: its name, parameters and files, as data. Standard library only.

The command line, its reference page and the workflow templates are all made from this table. The command `a b` or
`a-b` is run by `steps.commands.a_b.run`, the step `a` by `steps.commands.step_a.run`.
"""

from dataclasses import dataclass
from typing import Literal

Kind = Literal["text", "integer", "number", "flag", "switch", "list"]
"""A flag is there or not; a switch is `true` or `false`, as a template writes it."""

EXIT_CODES = {
    0: "done; an empty tile is done",
    1: "an error of GeoCrop's own",
    2: "usage: the command line, AOI or season is wrong",
    65: "bad data: the same input fails the same way",
    75: "try again: network, disk or a service",
    143: "stopped by SIGTERM; nothing half-written is left under a final name",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """One argument of a command; `--name VALUE` unless positional."""

    name: str
    help: str
    kind: Kind = "text"
    default: str | int | float | None = None
    """None: required when positional or `required`, else simply absent."""
    required: bool = False
    positional: bool = False
    choices: tuple[str, ...] = ()
    metavar: str = ""
    least: float | None = None
    """Of a number; None: no bound."""
    most: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Output:
    """A file that a step leaves, below the folder of its `--out` where it has one."""

    name: str
    file: str
    """Ends with `/` for a folder."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """One command with its parameters, in the order of its help."""

    name: str
    summary: str
    parameters: tuple[Parameter, ...] = ()
    outputs: tuple[Output, ...] = ()
    """Of a step: what the next ones read."""
    example: str = ""
    package: str = "steps"
    """Top-level package that runs it: `steps`, or `api`."""


_OUT = Parameter(
    name="out",
    required=True,
    metavar="STORE",
    help="where results go: a folder, or s3://bucket/prefix (set GEOCROP_S3_*)",
)
_STORE = Parameter(name="store", required=True, metavar="STORE", help="the store: a folder, or s3://bucket/prefix")
_JOB = Parameter(name="job", positional=True, metavar="JOB", help="job id, as `geocrop status` lists it")
_PLAN = Parameter(name="plan", required=True, metavar="FILE", help="the plan, as the step `plan` wrote it")
_WORKERS = Parameter(
    name="workers", kind="integer", default=0, least=0, help="worker processes; 0: as many as cores and memory allow"
)
_SERVER = Parameter(
    name="server",
    default="",
    metavar="URL",
    help="have a server do it, with the key in GEOCROP_KEY; catalog, model and rasters are names that it knows",
)
_SEASON = Parameter(
    name="season", required=True, metavar="START/END", help="first and last day, as 2018-09-01/2019-08-31"
)
_CATALOG = (
    Parameter(
        name="catalog", required=True, metavar="URL-or-PATH", help="STAC API, static catalog (folder or URL) or items"
    ),
    Parameter(name="collection", default="", help="collection id; may be left out when only one fits"),
)
_LAYER = Parameter(
    name="layer", kind="list", metavar="NAME=RASTER", help="a raster that the model asks for; repeatable"
)

_MAP = (
    Parameter(
        name="aoi", positional=True, metavar="AOI", help="area of interest: GeoJSON, GeoPackage or any vector file"
    ),
    Parameter(name="aoi-layer", default="", metavar="LAYER", help="layer of the AOI's file, where it has several"),
    _SEASON,
    *_CATALOG,
    Parameter(
        name="model", required=True, metavar="NAME-or-PATH", help="model folder, name, name@alias or name/version"
    ),
    _OUT,
    Parameter(name="name", default="", help="name of the area; default: the file's"),
    Parameter(name="crs", default="", metavar="EPSG", help="output CRS, as EPSG:3035; default: the AOI's UTM zone"),
    Parameter(name="tile-size", kind="integer", default=1024, least=64, most=4096, help="pixels per side of a tile"),
    Parameter(
        name="min-coverage",
        kind="number",
        default=0.95,
        least=0,
        most=1,
        help="least share of the AOI mapped to succeed",
    ),
    Parameter(
        name="max-cloud",
        kind="number",
        default=100.0,
        least=0,
        most=100,
        help="leave out scenes cloudier than this percentage",
    ),
    Parameter(name="strict-scenes", kind="flag", help="fail a tile when one of its scenes cannot be read"),
    Parameter(name="no-probe", kind="flag", help="trust the offsets that the items state"),
    Parameter(name="probabilities", kind="flag", help="keep the probability of every class"),
    Parameter(name="mask", default="", metavar="RASTER", help="leave pixels unmapped where this raster is 0"),
    Parameter(
        name="min-unit",
        kind="integer",
        default=0,
        least=0,
        most=2500,
        metavar="PIXELS",
        help="also write a map whose smaller patches dissolve, ring by ring, into the commonest kept neighbour",
    ),
    _LAYER,
    Parameter(name="baseline", default="", metavar="RASTER", help="Dynamic World of the year, to compare with"),
)

_EXTRAS = (
    Parameter(name="legend", default="", metavar="FILE", help="class codes, names and colours (CSV or JSON)"),
    Parameter(name="zones", default="", metavar="FILE", help="areas per class in each of these polygons"),
    Parameter(
        name="parcels", default="", metavar="FILE", help="majority class and confidence of each of these polygons"
    ),
)

_LABELS = (
    Parameter(name="labels", default="", metavar="FILE", help="points or polygons, or a label raster"),
    Parameter(
        name="table",
        default="",
        metavar="FILE",
        help="instead: ready-made features (Parquet or CSV), no scenes",
    ),
    Parameter(name="label-column", default="class", help="column of the class"),
    Parameter(
        name="label-threshold",
        default="",
        metavar="OTHER,V,CLASS",
        help="cut a continuous raster in two, as other,50,forest",
    ),
    Parameter(name="season", default="", metavar="START/END", help="with --labels: first and last day"),
    Parameter(name="catalog", default="", metavar="URL-or-PATH", help="with --labels: where the scenes are"),
    _CATALOG[1],
    Parameter(
        name="crs",
        default="",
        metavar="EPSG",
        help="grid of the features (default: the labels' UTM zone), or CRS of a table's x and y",
    ),
    Parameter(name="legend", default="", metavar="FILE", help="label to class code, name and colour (CSV or JSON)"),
    Parameter(
        name="max-cloud",
        kind="number",
        default=100.0,
        least=0,
        most=100,
        help="leave out scenes cloudier than this percentage",
    ),
    Parameter(name="no-probe", kind="flag", help="trust the offsets that the items state"),
    _LAYER,
)

COMMANDS: tuple[Command, ...] = (
    Command(
        name="demo",
        summary="make a landscape, train, map and score; shows all there is",
        parameters=(
            Parameter(name="folder", positional=True, default="demo", metavar="FOLDER", help="where to; default: demo"),
            _WORKERS,
        ),
        example="geocrop demo",
    ),
    Command(
        name="run",
        summary="map an area: plan, classify, mosaic, publish",
        parameters=(*_MAP, *_EXTRAS, _WORKERS, _SERVER),
        example="geocrop run farm.geojson --season 2018-09-01/2019-08-31 --catalog catalogs/flanders "
        "--model models/crops --out results",
    ),
    Command(
        name="quote",
        summary="say what a run would cost; computes no pixel of it",
        parameters=(
            *_MAP,
            *_EXTRAS,
            _WORKERS,
            Parameter(name="plan", default="", metavar="FILE", help="also write the plan, for `geocrop fetch`"),
            Parameter(name="json", kind="flag", help="print JSON"),
            _SERVER,
        ),
    ),
    Command(
        name="retry",
        summary="run a job's failed tiles again, then publish",
        parameters=(
            _JOB,
            Parameter(name="store", default="", metavar="STORE", help="where the job lies; default: as recorded"),
            _WORKERS,
            _SERVER,
        ),
    ),
    Command(
        name="status",
        summary="list jobs, or show one with its tiles",
        parameters=(
            Parameter(name="job", positional=True, default="", metavar="JOB", help="job id; default: all jobs"),
            Parameter(name="store", default="", metavar="STORE", help="look there, not at this machine's records"),
            Parameter(name="json", kind="flag", help="print JSON"),
            _SERVER,
        ),
    ),
    Command(
        name="replay",
        summary="rebuild a published map from its STAC item, byte for byte",
        parameters=(
            Parameter(name="item", positional=True, metavar="ITEM", help="path or URL of item.json"),
            _OUT,
            _WORKERS,
        ),
    ),
    Command(
        name="compare",
        summary="transition matrix between two class maps",
        parameters=(
            Parameter(
                name="before", positional=True, metavar="A", help="class map or its item.json: path, s3:// or URL"
            ),
            Parameter(
                name="after", positional=True, metavar="B", help="class map or its item.json: path, s3:// or URL"
            ),
            Parameter(name="csv", default="", metavar="FILE", help="also write the transitions as CSV, a line each"),
        ),
    ),
    Command(
        name="sample-design",
        summary="draw points of a published map, to be labelled as reference",
        parameters=(
            Parameter(name="item", positional=True, metavar="ITEM", help="path or URL of item.json"),
            Parameter(
                name="out",
                required=True,
                metavar="FILE",
                help="points to label: .gpkg, .geojson or .csv; the design is written beside it",
            ),
            Parameter(
                name="standard-error", kind="number", default=0.01, help="wanted standard error of overall accuracy"
            ),
            Parameter(
                name="user-accuracy",
                default="",
                metavar="FILE",
                help="expected user's accuracies: CSV of class,accuracy, JSON or an assessment.json; default: 0.8 each",
            ),
            Parameter(name="minimum", kind="integer", default=50, help="least points per class"),
            Parameter(name="seed", kind="integer", default=0, help="the same seed draws the same points"),
        ),
        example="geocrop sample-design results/maps/JOB/item.json --out points.gpkg",
    ),
    Command(
        name="assess",
        summary="accuracy and area with intervals, from labelled points; written beside the map",
        parameters=(
            Parameter(name="item", positional=True, metavar="ITEM", help="path or s3:// address of item.json"),
            Parameter(name="sample", required=True, metavar="FILE", help="the points of sample-design, labelled"),
            Parameter(name="reference-column", default="reference", help="column of the label: class name or code"),
            Parameter(
                name="design",
                default="",
                metavar="FILE",
                help="the sample's design; default: FILE.design.json beside it",
            ),
        ),
        example="geocrop assess results/maps/JOB/item.json --sample points.gpkg",
    ),
    Command(
        name="fetch",
        summary="fill the block cache on disk, so that a plan works offline",
        parameters=(
            Parameter(name="plan", positional=True, metavar="PLAN", help="file written by `geocrop quote --plan`"),
        ),
    ),
    Command(
        name="train",
        summary="train a model from labelled points, polygons or a raster",
        parameters=(
            *_LABELS,
            Parameter(
                name="spec",
                default="",
                metavar="FILE",
                help="JSON or TOML: what differs from the standard feature spec; or a model's folder, for its spec",
            ),
            Parameter(name="name", required=True, help="name of the model in the registry"),
            Parameter(name="out", default="", metavar="FOLDER", help="also keep the model in this folder"),
            Parameter(
                name="plan",
                default="",
                metavar="FILE",
                help="train nothing: write the plan of what is read, for `geocrop fetch`",
            ),
            Parameter(
                name="search-seconds",
                kind="number",
                default=0.0,
                least=0,
                most=86400,
                metavar="SECONDS",
                help="search for better parameters of the learner for about so long; 0: use the usual ones",
            ),
            Parameter(name="quick", kind="flag", help="one small learner: a first look in a tenth of the time"),
            _WORKERS,
        ),
        example="geocrop train --labels parcels.gpkg --label-column crop --season 2018-09-01/2019-08-31 "
        "--catalog catalogs/flanders --name crops",
    ),
    Command(
        name="register",
        summary="register a trained model's folder, as after a training that found no registry",
        parameters=(
            Parameter(name="folder", positional=True, metavar="FOLDER", help="as `geocrop train` left or kept it"),
        ),
        example="geocrop register models/crops",
    ),
    Command(
        name="evaluate",
        summary="score a model on labels that it was not trained on",
        parameters=(
            Parameter(name="model", positional=True, metavar="MODEL", help="folder, name, name@alias or name/version"),
            *_LABELS,
            Parameter(name="json", default="", metavar="FILE", help="also write all numbers as JSON"),
            _WORKERS,
        ),
        example="geocrop evaluate crops@champion --labels new-parcels.gpkg --label-column crop "
        "--season 2019-09-01/2020-08-31 --catalog catalogs/flanders",
    ),
    Command(
        name="promote",
        summary="pin a model as the next champion, unless it is worse than the champion",
        parameters=(
            Parameter(name="name", positional=True, default="", metavar="NAME", help="model of the registry"),
            Parameter(name="version", positional=True, default="", metavar="VERSION", help="default: its challenger"),
            Parameter(
                name="folder",
                default="gitops/models",
                help="the file NAME.json that pins it is written here, to commit",
            ),
            Parameter(
                name="check",
                default="",
                metavar="FILE",
                help="instead: make the comparison for such a file, as CI does",
            ),
            Parameter(
                name="apply", default="", metavar="FILE", help="instead: check, then make the version NAME@champion"
            ),
        ),
        example="geocrop promote crops 3",
    ),
    Command(
        name="models",
        summary="list the models of the registry: aliases, scores, drift of the last map",
        parameters=(Parameter(name="json", kind="flag", help="print JSON"), _SERVER),
    ),
    Command(
        name="baselines import",
        summary="turn exported Dynamic World GeoTIFFs into a COG per year",
        parameters=(
            Parameter(name="files", positional=True, kind="list", metavar="FILE", help="exported GeoTIFFs"),
            Parameter(name="year", kind="integer", default=0, help="year of all files; default: from their names"),
            _OUT,
        ),
    ),
    Command(name="calibrate", summary="measure this machine, for honest quotes"),
    Command(
        name="serve",
        summary="serve the API, the web page, the local engine and map tiles",
        parameters=(
            Parameter(name="host", default="127.0.0.1", help="address to listen on; others than loopback ask for keys"),
            Parameter(name="port", kind="integer", default=8000, help="port of the API and the page"),
            Parameter(name="tiler-port", kind="integer", default=8001, help="port of TiTiler"),
            Parameter(name="out", default="", metavar="STORE", help="where maps go; default: below GEOCROP_HOME"),
            Parameter(
                name="catalog", kind="list", metavar="NAME=URL-or-PATH", help="a catalog that jobs may read; repeatable"
            ),
            Parameter(name="page", default="", metavar="FOLDER", help="files of the web page; default: ui/dist"),
            Parameter(name="no-tiler", kind="flag", help="TiTiler is served elsewhere"),
        ),
        example="geocrop serve --catalog flanders=catalogs/flanders",
        package="api",
    ),
    Command(
        name="keys create",
        summary="make an API key; it is told once",
        parameters=(
            Parameter(name="owner", positional=True, metavar="OWNER", help="whose jobs it sees and makes"),
            Parameter(name="scopes", default="read,submit", help="what it may do, of read, submit and admin"),
            Parameter(name="name", default="", help="what it is for"),
        ),
        package="api",
    ),
    Command(
        name="doctor",
        summary="look at an installation on Kubernetes and say what is wrong with it; exits with 1 when something is",
        parameters=(
            Parameter(name="namespace", default="geocrop", help="where it is"),
            Parameter(name="domain", default="", help="also look at every host below it"),
        ),
        example="geocrop doctor --domain example.org",
        package="api",
    ),
    Command(name="keys list", summary="list API keys, without their secrets", package="api"),
    Command(
        name="keys revoke",
        summary="end an API key",
        parameters=(Parameter(name="key", positional=True, metavar="ID", help="as `geocrop keys list` has it"),),
        package="api",
    ),
)

_REFERENCE = "s3://bucket/key or https URL"
_OUT_FOLDER = Parameter(name="out", required=True, metavar="FOLDER", help="what the step leaves is written here")
_STEP_EXTRAS = tuple(
    Parameter(name=one.name, default="", metavar="FILE", help=f"{one.help}; {_REFERENCE}") for one in _EXTRAS
)
_STEP_SCENES = (
    Parameter(
        name="season",
        default="",
        metavar="START/END",
        help="first and last day, as 2018-09-01/2019-08-31; `latest` is the year up to the end of last month",
    ),
    Parameter(name="catalog", default="", metavar="URL", help="STAC API or static catalog"),
    Parameter(name="collection", default="", help="collection id; may be left out when only one fits"),
    Parameter(name="crs", default="", metavar="EPSG", help="CRS of the grid, as EPSG:3035; default: the UTM zone"),
    Parameter(
        name="max-cloud",
        kind="number",
        default=100.0,
        least=0,
        most=100,
        help="leave out scenes cloudier than this percentage",
    ),
    Parameter(name="no-probe", kind="switch", default="false", help="trust the offsets that the items state"),
)

STEPS: tuple[Command, ...] = (
    Command(
        name="plan",
        summary="from what is asked for to a plan, and to batches of tiles",
        parameters=(
            Parameter(
                name="request",
                default="",
                metavar="FILE",
                help=f"a map request as JSON: path, or {_REFERENCE}; the arguments below make one where it is empty",
            ),
            Parameter(name="job", default="", help="id of the job; default: the request's own"),
            Parameter(
                name="aoi",
                default="",
                metavar="FILE",
                help=f"a file that holds the area of interest as GeoJSON, or where that is: {_REFERENCE}",
            ),
            *_STEP_SCENES,
            Parameter(
                name="model", default="", metavar="NAME", help="name, name@alias, name/version or s3://bucket/folder"
            ),
            Parameter(name="name", default="", help="name of the area; default: its own"),
            Parameter(
                name="tile-size", kind="integer", default=1024, least=64, most=4096, help="pixels per side of a tile"
            ),
            Parameter(
                name="min-coverage",
                kind="number",
                default=0.95,
                least=0,
                most=1,
                help="least share of the AOI mapped to succeed",
            ),
            Parameter(
                name="min-unit",
                kind="integer",
                default=0,
                least=0,
                most=2500,
                help="also write a map without smaller patches",
            ),
            Parameter(name="mask", default="", metavar="RASTER", help=f"0 where nothing is mapped; {_REFERENCE}"),
            Parameter(name="baseline", default="", metavar="RASTER", help=f"Dynamic World of the year; {_REFERENCE}"),
            Parameter(
                name="layers", default="", help=f"rasters that the model asks for, as NAME={_REFERENCE}, by commas"
            ),
            Parameter(name="probabilities", kind="switch", default="false", help="keep the probability of every class"),
            Parameter(
                name="strict-scenes", kind="switch", default="false", help="fail a tile when a scene cannot be read"
            ),
            _STORE,
            Parameter(name="slots", kind="integer", default=1, least=1, help="pods of the job that may run at once"),
            Parameter(
                name="tiles-per-pod",
                kind="integer",
                default=0,
                least=0,
                most=1024,
                help="0: as many as make a pod worth its start",
            ),
            _OUT_FOLDER,
        ),
        outputs=(
            Output(name="plan", file="plan.json"),
            Output(name="parts", file="parts/"),
            Output(name="groups", file="groups.json"),
            Output(name="batch-size", file="batch-size"),
            Output(name="job", file="job"),
            Output(name="job-file", file="job"),
        ),
    ),
    Command(
        name="classify",
        summary="map a batch of the tiles of a plan",
        parameters=(
            Parameter(name="plan", required=True, metavar="FILE", help="the plan or a part of it, as `plan` wrote it"),
            _STORE,
            Parameter(name="batch", kind="integer", default=0, least=0, help="number of the batch, from 0"),
            Parameter(
                name="batch-size", kind="integer", default=0, least=0, help="tiles of a batch; 0: all tiles are one"
            ),
            Parameter(
                name="jitter",
                kind="number",
                default=0.0,
                least=0,
                most=600,
                help="seconds to wait at most before asking for another try",
            ),
        ),
    ),
    Command(
        name="gate",
        summary="judge coverage; fails when nothing could be mapped",
        parameters=(
            _PLAN,
            _STORE,
            Parameter(name="coverage", required=True, metavar="FILE", help="the verdict is written here"),
        ),
        outputs=(Output(name="coverage", file="coverage.json"),),
    ),
    Command(
        name="mosaic",
        summary="tiles to cloud-optimised GeoTIFFs in the store",
        parameters=(_PLAN, _STORE, _STEP_EXTRAS[0]),
    ),
    Command(
        name="publish",
        summary="areas, report and STAC item; the item is written last",
        parameters=(
            _PLAN,
            _STORE,
            Parameter(name="coverage", required=True, metavar="FILE", help="as the step `gate` wrote it"),
            *_STEP_EXTRAS,
        ),
    ),
    Command(
        name="report",
        summary="tell the model registry what became of a map",
        parameters=(
            _PLAN,
            _STORE,
            Parameter(name="coverage", required=True, metavar="FILE", help="as the step `gate` wrote it"),
        ),
    ),
    Command(
        name="settle",
        summary="note how a workflow ended, also one that failed or was cancelled",
        parameters=(
            Parameter(
                name="job",
                required=True,
                metavar="FILE",
                help="holds the job's id, as the step `plan` wrote it; not there when nothing was planned",
            ),
            _STORE,
            Parameter(name="workflow", required=True, help="name of the workflow"),
            Parameter(name="status", required=True, help="Succeeded, Failed or Error"),
        ),
    ),
    Command(
        name="train",
        summary="a model from labels, into the registry",
        parameters=(
            Parameter(name="labels", required=True, metavar="FILE", help=f"polygons, points or a raster; {_REFERENCE}"),
            Parameter(name="label-column", default="class", help="column of the class"),
            Parameter(name="label-threshold", default="", metavar="OTHER,V,CLASS", help="cut a continuous raster"),
            Parameter(name="legend", default="", metavar="FILE", help=f"labels to classes; {_REFERENCE}"),
            Parameter(name="name", required=True, help="name of the model in the registry"),
            *_STEP_SCENES,
            Parameter(
                name="spec",
                default="",
                metavar="FILE",
                help=f"what differs from the standard feature spec; {_REFERENCE}",
            ),
            Parameter(name="layers", default="", help=f"rasters of the spec's layers, as NAME={_REFERENCE}, by commas"),
            Parameter(name="keep", default="", metavar="s3://bucket/folder", help="also keep the model there"),
        ),
    ),
    Command(
        name="baselines",
        summary="exported Dynamic World GeoTIFFs to a COG per year",
        parameters=(
            Parameter(name="files", required=True, help=f"{_REFERENCE}, separated by commas or lines"),
            Parameter(name="year", kind="integer", default=0, help="year of all files; 0: from their names"),
            _STORE,
        ),
    ),
    Command(
        name="clean",
        summary="remove what no job refers to and nobody has written for long",
        parameters=(
            _STORE,
            Parameter(name="days", kind="number", default=90.0, least=1, help="how long what no job refers to stays"),
            Parameter(name="dry-run", kind="switch", default="false", help="only say what would go"),
        ),
    ),
)
