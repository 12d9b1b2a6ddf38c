"""One suite for every store: whatever holds the objects, they behave the same."""

import itertools
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from steps.errors import UsageError
from steps.store import FolderStore, MemoryStore, MissingObject, Store, open_store
from tests.s3_server import S3Server

MakeStore = Callable[[], Store]
_numbers = itertools.count()
BAD_KEYS = (
    *("", "/", "/etc/passwd", "a/../../b", "..", "a//b", "a/", "./a", "a/.", "a\\b", "a\0b", "a\nb", "\ud800"),
    "tiles/.geocrop-tmp-1",
)


@pytest.fixture(params=["memory", "folder", "s3"])
def make_store(request: pytest.FixtureRequest, tmp_path: Path) -> MakeStore:
    """Makes an empty store of each kind."""
    if request.param == "memory":
        return MemoryStore
    if request.param == "folder":
        return lambda: FolderStore(tmp_path / f"store-{next(_numbers)}")
    server: S3Server = request.getfixturevalue("s3")
    return lambda: open_store(f"s3://{server.bucket}/{tmp_path.name}/{next(_numbers)}", server.settings(tmp_path))


@pytest.fixture
def store(make_store: MakeStore) -> Store:
    """An empty store of each kind."""
    return make_store()


def test_what_was_put_is_there(store: Store, tmp_path: Path) -> None:
    """Bytes and files come back by every way of reading them."""
    (tmp_path / "any.bin").write_bytes(b"from a file")
    store.put_bytes("maps/any job/item.json", b"{}")
    store.put_file("tiles/32736-10/r1c2/ab.tif", tmp_path / "any.bin")
    assert store.get_bytes("maps/any job/item.json") == b"{}"
    assert store.size("tiles/32736-10/r1c2/ab.tif") == 11
    assert store.exists("tiles/32736-10/r1c2/ab.tif")
    with store.local_path("tiles/32736-10/r1c2/ab.tif") as path:
        assert path.read_bytes() == b"from a file"
        assert path.suffix == ".tif"
    assert list(store.list("")) == ["maps/any job/item.json", "tiles/32736-10/r1c2/ab.tif"]
    assert (store.total("tiles/"), store.total("")) == (11, 13)


def test_an_empty_object_is_an_object(store: Store, tmp_path: Path) -> None:
    """Nothing put is not the same as put nothing."""
    (tmp_path / "empty").touch()
    store.put_bytes("a", b"")
    store.put_file("b", tmp_path / "empty")
    assert (store.get_bytes("a"), store.size("b")) == (b"", 0)
    assert store.exists("a")


def test_the_last_put_holds(store: Store) -> None:
    """An object is replaced as a whole, also by a shorter one."""
    store.put_bytes("a/b", b"long" * 1000)
    store.put_bytes("a/b", b"short")
    assert store.get_bytes("a/b") == b"short"


@pytest.mark.parametrize("read", [Store.get_bytes, Store.size, Store.local_path], ids=lambda read: read.__name__)
def test_missing_is_said(store: Store, read: Callable[..., object]) -> None:
    """What is not there raises MissingObject naming the key, and exits with 65; the folder of an object is none."""
    store.put_bytes("a/b", b"any")
    for key in ("a/c", "a", "nothing/at/all", "a/b/c"):
        with pytest.raises(MissingObject, match=f"no object {key}") as caught:
            _opened(getattr(store, read.__name__)(key))
        assert caught.value.key == key
        assert caught.value.exit_code == 65
        assert not store.exists(key)


def _opened(found: object) -> None:
    if hasattr(found, "__enter__"):
        with found:
            pass


def test_delete_forgets_and_may_be_repeated(store: Store) -> None:
    """A deleted object is gone; deleting what is not there, or what is only a folder, does nothing."""
    store.put_bytes("a/b", b"any")
    store.delete("a")
    assert store.exists("a/b")
    store.delete("a/b")
    store.delete("a/b")
    assert not store.exists("a/b")
    assert list(store.list("")) == []


def test_list_by_prefix(store: Store) -> None:
    """A prefix may end within a name; keys come sorted, and none of another store."""
    keys = ["tiles/g/r10c2/a.tif", "tiles/g/r1c2/a.json", "tiles/g/r1c2/a.tif", "tiles/h", "tiles-2/x", "ü/ä b"]
    for key in reversed(keys):
        store.put_bytes(key, b"any")
    assert list(store.list("tiles/g/r1c2/")) == keys[1:3]
    assert list(store.list("tiles/g/r1")) == sorted(keys[:3])
    assert list(store.list("tiles/")) == sorted(keys[:4])
    assert list(store.list("")) == sorted(keys)
    assert list(store.list("nothing/here")) == []


@pytest.mark.parametrize("key", BAD_KEYS, ids=repr)
def test_no_key_leaves_the_store(store: Store, key: str, tmp_path: Path) -> None:
    """What is not a key is refused by every method, before anything is touched."""
    (tmp_path / "any").touch()
    calls: list[Callable[[], object]] = [
        lambda: store.put_bytes(key, b""),
        lambda: store.put_file(key, tmp_path / "any"),
        lambda: store.get_bytes(key),
        lambda: _opened(store.local_path(key)),
        lambda: store.exists(key),
        lambda: store.size(key),
        lambda: store.delete(key),
    ]
    for call in calls:
        with pytest.raises(UsageError, match="is not an object key"):
            call()


def test_no_prefix_leaves_the_store(store: Store) -> None:
    """Listing stays inside, too."""
    for prefix in ("../", "/", "a/../", "a//"):
        with pytest.raises(UsageError, match="is not an object key"):
            list(store.list(prefix))


def test_hrefs_are_absolute(store: Store) -> None:
    """An href says where an object lies, without the store; that of no key is the store's."""
    assert store.href("a/b").startswith(("/", "s3://", "memory:"))
    assert store.href("a/b").endswith("a/b")
    assert store.href("a/b").startswith(store.href(""))


def test_large_objects_go_up_in_parts(store: Store, tmp_path: Path) -> None:
    """An object of several parts comes back whole, from a file and from memory."""
    data = bytes(range(256)) * (35 * 2**20 // 256) + b"end"
    (tmp_path / "large").write_bytes(data)
    store.put_file("large/file", tmp_path / "large")
    store.put_bytes("large/bytes", data)
    assert store.size("large/file") == len(data)
    assert store.get_bytes("large/bytes") == data
    with store.local_path("large/file") as path:
        assert path.read_bytes() == data


KEYS = st.sampled_from(("a", "b/c", "b/c.tif", "b/d e", "b-c/d", "ü/x", "tiles/1/2/3.json"))
DATA = st.binary(max_size=64)


class _AsDictionary(RuleBasedStateMachine):
    """Whatever is done to a store, it holds what a dictionary would."""

    make_store: MakeStore

    def __init__(self) -> None:
        super().__init__()
        self.store, self.model = self.make_store(), dict[str, bytes]()

    @rule(key=KEYS, data=DATA)
    def put_bytes(self, key: str, data: bytes) -> None:
        self.store.put_bytes(key, data)
        self.model[key] = data

    @rule(key=KEYS, data=DATA)
    def put_file(self, key: str, data: bytes) -> None:
        with tempfile.NamedTemporaryFile() as file:
            file.write(data)
            file.flush()
            self.store.put_file(key, Path(file.name))
        self.model[key] = data

    @rule(key=KEYS)
    def delete(self, key: str) -> None:
        self.store.delete(key)
        self.model.pop(key, None)

    @rule(key=KEYS)
    def read(self, key: str) -> None:
        assert self.store.exists(key) == (key in self.model)
        if key in self.model:
            assert self.store.get_bytes(key) == self.model[key]
            assert self.store.size(key) == len(self.model[key])
        else:
            with pytest.raises(MissingObject):
                self.store.get_bytes(key)

    @rule(prefix=st.sampled_from(("", "b", "b/", "b/c", "tiles/1/", "z")))
    def list(self, prefix: str) -> None:
        assert [*self.store.list(prefix)] == sorted(key for key in self.model if key.startswith(prefix))

    @invariant()
    def nothing_else(self) -> None:
        assert [*self.store.list("")] == sorted(self.model)


def test_a_store_is_a_dictionary(make_store: MakeStore) -> None:
    """Any sequence of calls leaves the store as it would leave a dictionary."""
    machine = type("Machine", (_AsDictionary,), {"make_store": staticmethod(make_store)})
    checks = [HealthCheck.too_slow, HealthCheck.function_scoped_fixture]
    run_state_machine_as_test(
        machine,
        settings=settings(max_examples=30, stateful_step_count=20, deadline=None, suppress_health_check=checks),
    )


def test_stores_share_nothing(make_store: MakeStore) -> None:
    """What is put into one store is in no other."""
    first, second = make_store(), make_store()
    first.put_bytes("a", b"any")
    assert not second.exists("a")
