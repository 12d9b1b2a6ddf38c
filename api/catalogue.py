"""What there is to choose from: models, baselines and catalogs, remembered for a moment."""

import time
from typing import Any

import msgspec

from api.context import Context
from api.schemas import BaselineView, CatalogView, ClassView, ModelView, TileJson
from api.settings import pairs
from steps.counterparts import safe_colours
from steps.legend import DYNAMIC_WORLD
from steps.model.card import ClassDef, ModelCard
from steps.model.registry import RegisteredModel

ATTRIBUTION = "Dynamic World V1, Google and World Resources Institute, CC BY 4.0"
_KEEP_SECONDS = 10.0
BASELINE_TILES = "baselines/{year}/tiles/WebMercatorQuad/{z}/{x}/{y}.png?tilesize=512"


class Catalogue:
    """Asks the clerk, but not for every request."""

    def __init__(self) -> None:
        self._kept: dict[str, tuple[float, Any]] = {}

    async def models(self, context: Context) -> list[ModelView]:
        """Every version of every model, by name, the newest version first."""
        found = [_model(one) for one in await self._ask(context, "models")]
        return sorted(found, key=lambda model: (model.name, -int(model.version or 0)))

    async def baselines(self, context: Context) -> list[BaselineView]:
        """The years that the store has."""
        answers = await self._ask(context, "baselines", store=context.store_url)
        return [_baseline(context, one) for one in answers]

    async def _ask(self, context: Context, what: str, **asked: object) -> Any:
        made, answer = self._kept.get(what, (-_KEEP_SECONDS, None))
        if time.monotonic() - made > _KEEP_SECONDS:
            answer = await context.desk.ask(what, **asked)
            self._kept[what] = (time.monotonic(), answer)
        return answer


def catalogs(context: Context) -> list[CatalogView]:
    """The catalogs that jobs may read."""
    allowed = pairs(context.settings.catalogs, "GEOCROP_API_CATALOGS")
    return [CatalogView(name=name, collections=[]) for name in sorted(allowed)]


def classes(entries: tuple[ClassDef, ...]) -> list[ClassView]:
    """A legend."""
    safe = safe_colours({one.code: one.name for one in entries})
    return [ClassView(code=one.code, name=one.name, colour=one.colour, safe_colour=safe[one.code]) for one in entries]


def _model(answer: dict[str, Any]) -> ModelView:
    card = msgspec.convert(answer["card"], ModelCard, str_keys=True)  # its keys came through JSON
    model = msgspec.convert(answer["model"], RegisteredModel)
    return ModelView(
        name=model.name,
        version=model.version,
        digest=model.digest,
        classes=classes(card.classes),
        season_days=card.spec.season_days,
        bands=list(card.spec.bands),
        layers=[layer.name for layer in card.spec.layers],
        registered=model.when,
        score=model.balanced,
        overall=model.overall,
        split=model.split,
        drift=model.drift,
        aliases=list(model.aliases),
    )


def _baseline(context: Context, answer: dict[str, Any]) -> BaselineView:
    year, root = answer["year"], context.settings.tiler_url.rstrip("/")
    return BaselineView(
        year=year,
        partial_from=answer["partial_from"],
        bounds=tuple(answer["bounds"]),
        tilejson=TileJson(
            name=f"Dynamic World {year}",
            tiles=[f"{root}/{BASELINE_TILES.replace('{year}', str(year))}"],
            bounds=tuple(answer["bounds"]),
            attribution=ATTRIBUTION,
        ),
        classes=classes(DYNAMIC_WORLD),
    )
