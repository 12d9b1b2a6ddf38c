"""Quotes: what a map would cost."""

from litestar import Router, get, post
from litestar.params import FromPath, JSONBody

from api import orders
from api.problems import problems
from api.routes.parameters import Shared, Who
from api.schemas import MapOrder, QuoteView


@post("/", summary="Ask for a quote", status_code=201, responses=problems(422))
async def create_quote(data: JSONBody[MapOrder], context: Shared, submitter: Who) -> QuoteView:
    """Tiles, time, memory, space, the season's days and the wait; no pixel is computed. Good for a day."""
    context.limiter.take("submission", submitter.owner)
    return await orders.price(context, submitter, data)


@get("/{quote:str}", summary="One quote", responses=problems())
async def get_quote(quote: FromPath[str], context: Shared, reader: Who) -> QuoteView:
    """As it was given."""
    return await orders.saved_quote(context, reader, quote)


router = Router(path="/quotes", tags=["quotes"], route_handlers=[create_quote, get_quote])
