"""Parameters that several resources share."""

from typing import Annotated

from litestar.di import NamedDependency
from litestar.params import QueryParameter

from api.context import Context
from api.principal import Principal

Shared = NamedDependency[Context]
"""`context`."""
Who = NamedDependency[Principal]
"""`reader`, `submitter` or `admin`: the name says what they need to be allowed."""

Bbox = Annotated[
    str | None,
    QueryParameter(description="west,south,east,north in degrees; west > east over the antimeridian", max_length=200),
]
Cursor = Annotated[str | None, QueryParameter(description="`next` of the page before", max_length=20)]
Limit = Annotated[int, QueryParameter(description="Most entries of a page", ge=1, le=200)]
