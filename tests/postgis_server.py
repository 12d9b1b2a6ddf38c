"""A real PostgreSQL with PostGIS on loopback, of Debian's packages; one that runs on the port already is used."""

import contextlib
import itertools
import os
import pwd
import shutil
import socket
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

PORT = 5433
_PACKAGE = "postgresql-15-postgis-3"
_PROGRAMS = Path("/usr/lib/postgresql/15/bin")
_FAST = ("fsync=off", "synchronous_commit=off", "full_page_writes=off", "shared_buffers=64MB")


@dataclass(frozen=True, slots=True)
class PostgisServer:
    """Where it listens."""

    folder: Path
    port: int

    def url(self, name: str) -> str:
        """Of one database."""
        return f"postgresql://postgres@127.0.0.1:{self.port}/{name}"

    def new_database(self, name: str) -> str:
        """An empty one, replacing any of that name."""
        self._run("psql", "-q", "-c", f"drop database if exists {name} with (force)", "-c", f"create database {name}")
        return self.url(name)

    def stop(self) -> None:
        """At once, as if the power went."""
        _as_postgres(str(_PROGRAMS / "pg_ctl"), "-D", str(self.folder / "data"), "-m", "immediate", "-w", "stop")

    def start(self) -> None:
        """Until it takes connections."""
        options = " ".join(f"-c {one}" for one in (*_FAST, f"port={self.port}", "listen_addresses=127.0.0.1"))
        log = str(self.folder / "server.log")
        options += f" -c unix_socket_directories={self.folder}"
        _as_postgres(
            str(_PROGRAMS / "pg_ctl"), "-D", str(self.folder / "data"), "-l", log, "-o", options, "-w", "start"
        )

    def _run(self, program: str, *arguments: str) -> None:
        command = [str(_PROGRAMS / program), "-h", "127.0.0.1", "-p", str(self.port), "-U", "postgres", *arguments]
        for separate in _commands_of(command):
            subprocess.run(separate, check=True, capture_output=True)


def _commands_of(command: list[str]) -> list[list[str]]:
    """`create database` runs outside of a transaction: one statement a call."""
    head = command[: command.index("-c")]
    return [[*head, "-c", text] for flag, text in itertools.pairwise(command) if flag == "-c"]


@contextlib.contextmanager
def postgis_server(folder: Path) -> Iterator[PostgisServer]:
    """Install what is missing, start, end."""
    _install()
    user = pwd.getpwnam("postgres")
    for part in (folder, *folder.parents[:3]):
        part.chmod(part.stat().st_mode | 0o755)
    os.chown(folder, user.pw_uid, user.pw_gid)
    _as_postgres(str(_PROGRAMS / "initdb"), "-D", str(folder / "data"), "-A", "trust", "-E", "UTF8", "--no-sync")
    server = _started(folder)
    try:
        yield server
    finally:
        with contextlib.suppress(subprocess.CalledProcessError):
            server.stop()
        shutil.rmtree(folder / "data", ignore_errors=True)


def _started(folder: Path) -> PostgisServer:
    """On the usual port, or another where that is taken: another test process may have been faster."""
    usual = PostgisServer(folder, PORT)
    if _is_free(PORT):
        with contextlib.suppress(subprocess.CalledProcessError):
            usual.start()
            return usual
    other = PostgisServer(folder, _free_port())
    other.start()
    return other


def _install() -> None:
    extension = Path("/usr/share/postgresql/15/extension/postgis.control")
    if (_PROGRAMS / "initdb").exists() and extension.exists():
        return
    environ = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for command in (["apt-get", "-qq", "update"], ["apt-get", "-qq", "-y", "install", _PACKAGE]):
        subprocess.run(command, check=True, capture_output=True, env=environ, stdin=subprocess.DEVNULL)


def _as_postgres(*command: str) -> None:
    """PostgreSQL does not run as root."""
    subprocess.run(
        ["runuser", "-u", "postgres", "--", *command] if os.getuid() == 0 else list(command),
        check=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        stdin=subprocess.DEVNULL,
        cwd="/",
        timeout=60,
    )


def _is_free(port: int) -> bool:
    with socket.socket() as one:
        return one.connect_ex(("127.0.0.1", port)) != 0


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])
