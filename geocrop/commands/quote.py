"""`geocrop quote --server`: what a run on a server would cost."""

import argparse
import sys

from api.schemas import QuoteView
from geocrop.commands.server import open_client, order_of, write_json


def run(arguments: argparse.Namespace) -> int:
    """Ask; nothing is submitted."""
    with open_client(arguments) as client:
        found = client.quote(order_of(client, arguments))
    if arguments.json:
        write_json(found)
    else:
        sys.stdout.writelines(f"{line}\n" for line in _lines(found))
    return 0


def _lines(quote: QuoteView) -> list[str]:
    cost, waiting = quote.cost, quote.queue
    return [
        f"{cost.tiles} tiles of {cost.crs}, {cost.stored} of them in the store, {cost.bare} without scenes",
        f"{cost.scenes} scenes on {len(cost.days)} days, {cost.read_mb:,.0f} MB to read",
        f"{cost.seconds:,.0f} s with {cost.workers} workers of {cost.memory_mb:,.0f} MB ({cost.measured})",
        f"{cost.store_mb:,.0f} MB in the store, {cost.output_mb:,.0f} MB of map",
        f"{waiting.jobs_ahead} jobs ahead" + ("" if waiting.seconds is None else f", {waiting.seconds:,.0f} s"),
        *(f"note: {warning}" for warning in quote.warnings),
    ]
