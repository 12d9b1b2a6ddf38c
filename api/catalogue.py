"""What there is to choose from: models, baselines and catalogs, remembered for a moment."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec

from api.context import Context
from api.results import hrefs
from api.schemas import BaselineView, CatalogView, ClassView, ModelView, TileJson
from api.settings import pairs
from steps import credit
from steps.counterparts import safe_colours
from steps.dynamic_world import Baseline, list_baselines
from steps.legend import DYNAMIC_WORLD
from steps.model.card import ClassDef, ModelCard
from steps.model.registry import RegisteredModel

_KEEP_SECONDS = 10.0


class Catalogue:
    """Asks the clerk, but not for every request."""

    def __init__(self) -> None:
        self._kept: dict[str, tuple[float, Any]] = {}

    async def models(self, context: Context) -> list[ModelView]:
        """Every version of every model, by name, the newest version first."""
        found = [_model(one) for one in await self._kept_for_now("models", lambda: context.planner.ask("models"))]
        return sorted(found, key=lambda model: (model.name, -int(model.version or 0)))

    async def baselines(self, context: Context) -> list[BaselineView]:
        """The years that the store has."""
        return [_baseline(context, one) for one in await self.years(context)]

    async def years(self, context: Context) -> list[Baseline]:
        """The same as the store says it."""
        return await self._kept_for_now("baselines", lambda: asyncio.to_thread(list_baselines, context.store))

    async def _kept_for_now(self, what: str, ask: Callable[[], Awaitable[Any]]) -> Any:
        made, answer = self._kept.get(what, (-_KEEP_SECONDS, None))
        if time.monotonic() - made > _KEEP_SECONDS:
            answer = await ask()
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


def _baseline(context: Context, one: Baseline) -> BaselineView:
    return BaselineView(
        year=one.year,
        partial_from=one.partial_from,
        bounds=one.bounds,
        tilejson=TileJson(
            name=f"Dynamic World {one.year}",
            tiles=[hrefs(context).of_baseline_tiles(one)],
            bounds=one.bounds,
            attribution=credit.DYNAMIC_WORLD,
        ),
        classes=classes(DYNAMIC_WORLD),
    )
