"""What the web page reads beside its files, outside of `/api/v1`: it shows baselines whatever else answers."""

from typing import Any

import msgspec
from litestar import get

from api.catalogue import Catalogue
from api.results import expiry, file_href
from api.routes.parameters import Shared
from steps import naming

_catalogue = Catalogue()


@get("/baselines.json", include_in_schema=False)
async def list_page_baselines(context: Shared) -> dict[str, list[dict[str, Any]]]:
    """The years that the store has, each with its tiles and with the raster itself."""
    expires = expiry(context)
    views = await _catalogue.baselines(context)
    cogs = (file_href(context, naming.baseline_key(one.year), expires) for one in views)
    return {
        "baselines": [msgspec.to_builtins(one) | {"cog": cog} for one, cog in zip(views, cogs, strict=True)],
    }
