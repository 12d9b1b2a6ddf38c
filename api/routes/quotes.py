"""Quotes: what a map would cost."""

from litestar import Response, Router, get, post
from litestar.params import FromPath, JSONBody

from api import orders
from api.problems import problems
from api.quota import QUOTA, quota_headers
from api.routes.parameters import Shared, Who
from api.schemas import MapOrder, QuoteView


@post("/", summary="Ask for a quote", status_code=201, responses=problems(422), response_headers=QUOTA)
async def create_quote(data: JSONBody[MapOrder], context: Shared, submitter: Who) -> Response[QuoteView]:
    """Tiles, time, memory, space, the season's days and the wait; no pixel is computed. Good for a day."""
    context.limiter.take("submission", submitter.owner)
    quote = await orders.price(context, submitter, data)
    return Response(quote, headers=await quota_headers(context, submitter.owner))


@get("/{quote:str}", summary="One quote", responses=problems())
async def get_quote(quote: FromPath[str], context: Shared, reader: Who) -> QuoteView:
    """As it was given."""
    return await orders.saved_quote(context, reader, quote)


router = Router(path="/quotes", tags=["quotes"], route_handlers=[create_quote, get_quote])
