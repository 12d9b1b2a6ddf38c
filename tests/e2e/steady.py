"""Somebody who asks a page all the time, and remembers every answer that was not one."""

import http.client
import ssl
import threading
import time
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

PAUSE_SECONDS = 0.05
PATIENCE_SECONDS = 10.0


@dataclass
class SteadyReader:
    """Reads one page through the ingress, a new connection each time, until it is left."""

    address: str
    host: str
    path: str = "/"
    wanted: str = ""
    asked: int = 0
    slowest: float = 0.0
    failures: list[str] = field(default_factory=list)
    _ended: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._ended.set()
        if self._thread is not None:
            self._thread.join(2 * PATIENCE_SECONDS)

    def _read(self) -> None:
        while not self._ended.wait(PAUSE_SECONDS):
            start = time.monotonic()
            try:
                told = ask(self.address, self.host, self.path)
            except OSError as error:
                told = (0, str(error))
            self.asked += 1
            self.slowest = max(self.slowest, time.monotonic() - start)
            if told[0] != 200 or self.wanted not in told[1]:
                self.failures.append(f"{time.strftime('%T')} {told[0]} {told[1][:80]}")


def ask(address: str, host: str, path: str = "/", headers: dict[str, str] | None = None) -> tuple[int, str]:
    """Status and text of a page, asked for over TLS as the cluster's own certificate has it."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    connection = http.client.HTTPSConnection(address, timeout=PATIENCE_SECONDS, context=context)
    try:
        connection.request("GET", path, headers={"Host": host, **(headers or {})})
        answer = connection.getresponse()
        return answer.status, answer.read().decode(errors="replace")
    except http.client.HTTPException as error:
        raise OSError(repr(error)) from error
    finally:
        connection.close()
