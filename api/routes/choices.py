"""What there is to choose from."""

from litestar import get

from api.catalogue import Catalogue, catalogs
from api.problems import problems
from api.routes.parameters import Shared, Who
from api.schemas import BaselineView, CatalogView, ModelView

_catalogue = Catalogue()


@get("/models", tags=["models"], summary="List models", responses=problems())
async def get_models(context: Shared, reader: Who) -> list[ModelView]:  # noqa: ARG001 - the scope is checked
    """Every version, with its classes and what is known of its accuracy."""
    return await _catalogue.models(context)


@get("/baselines", tags=["baselines"], summary="List baselines", responses=problems())
async def get_baselines(context: Shared, reader: Who) -> list[BaselineView]:  # noqa: ARG001
    """Years of Dynamic World, with TileJSON."""
    return await _catalogue.baselines(context)


@get("/catalogs", tags=["catalogs"], summary="List catalogs", responses=problems())
async def get_catalogs(context: Shared, reader: Who) -> list[CatalogView]:  # noqa: ARG001
    """The catalogs that jobs may read."""
    return catalogs(context)


handlers = [get_models, get_baselines, get_catalogs]
