"""What the web page reads beside its files, outside of `/api/v1`; TiTiler tells the same, for a page elsewhere."""

from typing import Any

from litestar import get

from api.catalogue import Catalogue
from api.results import hrefs
from api.routes.parameters import Shared

_catalogue = Catalogue()


@get("/baselines.json", include_in_schema=False)
async def list_page_baselines(context: Shared) -> dict[str, list[dict[str, Any]]]:
    """The years that the store has, each with its tiles and with the raster itself."""
    return {"baselines": hrefs(context).of_baselines(await _catalogue.years(context))}
