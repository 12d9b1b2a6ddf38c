"""`geocrop models`: what the registry holds."""

import argparse
import sys

import msgspec

from steps.models import list_models
from steps.settings import settings


def run(arguments: argparse.Namespace) -> int:
    """A line each, or JSON."""
    models = list_models(settings())
    if arguments.json:
        sys.stdout.write(msgspec.json.format(msgspec.json.encode(models)).decode() + "\n")
    elif not models:
        sys.stdout.write("no models yet: see `geocrop train --help`\n")
    else:
        sys.stdout.writelines(f"{ref.name}  {ref.version}  {ref.digest}  {ref.href}\n" for ref in models)
    return 0
