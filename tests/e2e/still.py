"""A command in a network where nothing ever changes: `still.py SOCKET PORT COMMAND ...`, run by `quiet`.

On the node itself each pod that starts or ends is an interface that comes or goes, and Chromium drops all connections
when one does. So it has a network of its own, a loopback, whose one port leads through a socket to the ingress.
"""

import contextlib
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def quiet(folder: Path, address: str, port: int = 443) -> Iterator[list[str]]:
    """What goes before a command so that `port` of its loopback is that of an address; takes root."""
    path = folder / "relay"
    path.unlink(missing_ok=True)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        server.listen(128)
        there = (socket.AF_INET, (address, port))
        threading.Thread(target=_serve, args=(server, there), daemon=True).start()
        yield [str(shutil.which("unshare")), "--net", sys.executable, __file__, str(path), str(port)]


def main(path: str, port: int, command: list[str]) -> int:
    """Inside."""
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    with socket.create_server(("127.0.0.1", port), backlog=128) as server:
        there = (socket.AF_UNIX, path)
        threading.Thread(target=_serve, args=(server, there), daemon=True).start()
        return subprocess.run(command, check=False).returncode


def _serve(server: socket.socket, there: tuple[socket.AddressFamily, object]) -> None:
    """Carry every connection on, until the server is closed."""
    with contextlib.suppress(OSError):
        while True:
            one, _ = server.accept()
            threading.Thread(target=_relay, args=(one, *there), daemon=True).start()


def _relay(one: socket.socket, family: socket.AddressFamily, address: object) -> None:
    """Both ways, until both have ended."""
    with one, socket.socket(family) as other, contextlib.suppress(OSError):
        other.connect(address)  # type: ignore[arg-type]
        back = threading.Thread(target=_carry, args=(other, one), daemon=True)
        back.start()
        _carry(one, other)
        back.join()


def _carry(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while chunk := source.recv(65_536):
            target.sendall(chunk)
    with contextlib.suppress(OSError):
        target.shutdown(socket.SHUT_WR)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], int(sys.argv[2]), sys.argv[3:]))
