"""Requests that are tried again while that can help, and answers as structs."""

import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import httpx
import msgspec

from api.schemas import Problem
from geocrop.errors import AwayError, RefusedError

T = TypeVar("T")
_ROOT = "/api/v1"
_LATER = {429, 502, 503, 504}
_FIRST_WAIT, _LONGEST_WAIT = 0.2, 10.0
_TIMEOUT = httpx.Timeout(30.0, read=700.0)
"""A quote may take minutes."""


class Http:
    """One server. What is asked twice does no harm: jobs are submitted under a key of their own."""

    def __init__(self, url: str, key: str, patience: float, transport: httpx.BaseTransport | None) -> None:
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        self._http = httpx.Client(base_url=url, headers=headers, timeout=_TIMEOUT, transport=transport)
        self._patience = patience

    def close(self) -> None:
        """Let go."""
        self._http.close()

    def get(self, path: str, answer: type[T], **query: Any) -> T:
        """The answer as a struct."""
        return _decoded(self.request("GET", path, query=query), answer)

    def post(self, path: str, answer: type[T], body: msgspec.Struct | None = None) -> T:
        """The same, of a change."""
        return _decoded(self.request("POST", path, body=body), answer)

    def request(
        self, method: str, path: str, *, body: msgspec.Struct | None = None, query: Mapping[str, Any] | None = None
    ) -> bytes:
        """The answer's bytes. Raises RefusedError, or AwayError when patience is over."""
        content = None if body is None else msgspec.json.encode(body)
        headers = {"Content-Type": "application/json"} if content else {}
        if method == "POST":
            headers["Idempotency-Key"] = uuid.uuid4().hex
        asked = self._http.build_request(method, _ROOT + path, content=content, headers=headers, params=_given(query))
        return self._patiently(asked)

    def upload(self, path: str, data: bytes, answer: type[T], **query: Any) -> T:
        """The answer to a file."""
        headers = {"Content-Type": "application/octet-stream"}
        asked = self._http.build_request("POST", _ROOT + path, content=data, headers=headers, params=query)
        return _decoded(self._patiently(asked), answer)

    def _patiently(self, asked: httpx.Request) -> bytes:
        wait, until = _FIRST_WAIT, time.monotonic() + self._patience
        while True:
            try:
                return self._once(asked)
            except AwayError as later:
                pause = max(wait, later.seconds)
                if time.monotonic() + pause > until:
                    raise
            time.sleep(pause)
            wait = min(2 * wait, _LONGEST_WAIT)

    def _once(self, asked: httpx.Request) -> bytes:
        with _translated(asked.url):
            answer = self._http.send(asked)
        _check(answer)
        return answer.content

    @contextmanager
    def lines(self, path: str, *, after: int | None = None, **query: Any) -> Iterator[Iterator[str]]:
        """An open answer, line by line; nothing where there is no more. Raises AwayError when it breaks off."""
        headers = {} if after is None else {"Last-Event-ID": str(after)}
        with (
            _translated(self._http.base_url),
            self._http.stream("GET", _ROOT + path, headers=headers, params=_given(query), timeout=60.0) as answer,
        ):
            if answer.status_code != 204 and not answer.is_success:
                answer.read()
                _check(answer)
            yield answer.iter_lines()

    def download(self, url: str, path: Path) -> None:
        """A file by its signed address, which needs no key."""
        part = path.with_name(f".{path.name}.part")
        try:
            with _translated(httpx.URL(url)), httpx.stream("GET", url, timeout=_TIMEOUT) as answer:
                if not answer.is_success:
                    raise RefusedError(f"{path.name} cannot be had ({answer.status_code})", "ask for the result again")
                with part.open("wb") as file:
                    for data in answer.iter_bytes(1 << 20):
                        file.write(data)
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)


def _given(query: Mapping[str, Any] | None) -> dict[str, Any]:
    return {name: value for name, value in (query or {}).items() if value not in {None, ""}}


def _decoded(data: bytes, answer: type[T]) -> T:
    try:
        return msgspec.json.decode(data, type=answer)
    except msgspec.DecodeError as error:
        raise RefusedError(f"the answer does not fit: {error}", "use a client of the server's version") from error


@contextmanager
def _translated(url: httpx.URL) -> Iterator[None]:
    """A server that does not answer."""
    try:
        yield
    except httpx.InvalidURL as error:
        raise RefusedError(f"{url} is no address", "as http://127.0.0.1:8000") from error
    except httpx.HTTPError as error:
        raise AwayError(f"{url.host} does not answer ({type(error).__name__})", "check that it runs") from error


def _check(answer: httpx.Response) -> None:
    """Raises what the server refused."""
    if answer.is_success:
        return
    problem = _problem(answer)
    if answer.status_code in _LATER:
        after = answer.headers.get("retry-after", "")
        raise AwayError(problem.detail, problem.remedy, seconds=float(after) if after.isdecimal() else 0.0)
    fields = tuple(problem.errors)
    said = "; ".join(f"{one.field}: {one.message}" for one in fields)
    what = f"{problem.detail} ({said})" if said else problem.detail
    raise RefusedError(what, problem.remedy, status=answer.status_code, fields=fields)


def _problem(answer: httpx.Response) -> Problem:
    try:
        return msgspec.json.decode(answer.content, type=Problem)
    except msgspec.DecodeError:
        said = f"{answer.url.host} answers {answer.status_code}, not as GeoCrop does"
        return Problem(type="", title="", status=answer.status_code, detail=said, remedy="check the address")
