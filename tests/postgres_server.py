"""A real PostgreSQL with PostGIS on loopback, with a password, in a folder that goes with it.

On port 5433, or on another where that is taken: another test process may have been faster.
"""

import contextlib
import dataclasses
import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest

from tests.s3_server import free_ports

_CONFIG = Path("/etc/postgresql-common/createcluster.conf")
_USUAL_PORT, _TEMPLATE = 5433, "with_postgis"


@dataclass(frozen=True, slots=True)
class PostgresServer:
    """Where it listens."""

    port: int
    folder: Path
    programs: Path
    password: str = "any-password"  # noqa: S105 - the server is ours and gone with the test

    def uri(self, database: str) -> str:
        """The address of one of its databases."""
        return f"postgresql://postgres:{self.password}@127.0.0.1:{self.port}/{database}"

    def create(self, database: str) -> str:
        """Make a database with PostGIS; its address."""
        self._execute("postgres", f"CREATE DATABASE {database} TEMPLATE {_TEMPLATE}")
        return self.uri(database)

    def make_template(self) -> None:
        """Its copy takes a tenth of the time of the extension."""
        self._execute("postgres", f"CREATE DATABASE {_TEMPLATE}")
        self._execute(_TEMPLATE, "CREATE EXTENSION postgis")

    def _execute(self, database: str, command: str) -> None:
        with psycopg.connect(self.uri(database), autocommit=True) as connection:
            connection.execute(command)

    def start(self) -> None:
        """Until it takes connections. Commits reach the system, not the disk: they outlive the server."""
        settings = ("shared_buffers=64MB", "max_connections=60", "full_page_writes=off")
        options = f"-p {self.port} -h 127.0.0.1 -k {self.folder} -F {' '.join(f'-c {one}' for one in settings)}"
        self._control(f"--log={self.folder / 'log'}", f"--options={options}", "start")

    def stop(self) -> None:
        """At once, as if the power went."""
        self._control("--mode=immediate", "stop")

    def _control(self, *arguments: str) -> None:
        _run([self.programs / "pg_ctl", f"--pgdata={self.folder / 'data'}", "--wait", "--silent", *arguments])


@contextlib.contextmanager
def postgres_server() -> Iterator[PostgresServer]:
    """Start the server, wait until it serves, and end it. Skips where there is none and none can be installed."""
    programs = _programs()
    with tempfile.TemporaryDirectory(prefix="geocrop-postgres-") as scratch:
        folder = Path(scratch)
        server = PostgresServer(_USUAL_PORT, folder, programs)
        _give(folder)
        password = folder / "password"
        password.write_text(server.password, encoding="utf-8")
        _give(password)
        authentication = ["--username=postgres", "--auth=scram-sha-256", f"--pwfile={password}"]
        _run([programs / "initdb", f"--pgdata={folder / 'data'}", "--no-sync", "--encoding=UTF8", *authentication])
        server = _started(server)
        try:
            server.make_template()
            yield server
        finally:
            with contextlib.suppress(RuntimeError):
                server.stop()


def _started(server: PostgresServer) -> PostgresServer:
    with contextlib.suppress(RuntimeError):
        server.start()
        return server
    other = dataclasses.replace(server, port=free_ports(1)[0])
    other.start()
    return other


def _programs() -> Path:
    """The folder of PostgreSQL's programs; installed from Debian when it is missing and we are root."""
    found = _found()
    if found is None and os.geteuid() == 0 and shutil.which("apt-get"):
        _install()
        found = _found()
    if found is None:
        pytest.skip("NO POSTGRESQL: install postgresql-postgis; neither a shared registry nor the API was tested on it")
    return found


def _found() -> Path | None:
    """The newest of Debian's that has PostGIS, else what is on the PATH."""
    for control in sorted(Path("/usr/share/postgresql").glob("*/extension/postgis.control"), reverse=True):
        folder = Path("/usr/lib/postgresql", control.parts[4], "bin")
        if (folder / "initdb").exists():
            return folder
    on_path = shutil.which("initdb")
    return Path(on_path).resolve().parent if on_path else None


def _install() -> None:
    """From Debian, without the cluster that its package would make and start."""
    if not _CONFIG.exists():
        _CONFIG.parent.mkdir(parents=True, exist_ok=True)
        _CONFIG.write_text("create_main_cluster = false\n", encoding="utf-8")
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    options = ["--yes", "--quiet", "--no-install-recommends", "--option=Dpkg::Options::=--force-confold"]
    for command in (["update", "--quiet"], ["install", *options, "postgresql-postgis"]):
        subprocess.run(["apt-get", *command], env=environment, check=False, capture_output=True, timeout=600)


def _give(path: Path) -> None:
    """To the user that the server runs as: it refuses to be root."""
    if os.geteuid() == 0:
        shutil.chown(path, "postgres", "postgres")


def _run(command: Sequence[str | Path]) -> None:
    """As another user than root."""
    user = {"user": "postgres", "group": pwd.getpwnam("postgres").pw_gid, "extra_groups": []}
    done = subprocess.run(
        command, cwd="/", capture_output=True, encoding="utf-8", check=False, **(user if os.geteuid() == 0 else {})
    )
    if done.returncode:
        raise RuntimeError(f"{command[0]} failed: {done.stderr[-2000:]}")
