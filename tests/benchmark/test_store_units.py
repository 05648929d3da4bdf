"""Files of units: whole or not at all, and damage is seen."""

from __future__ import annotations

import math
import os
from pathlib import Path

import pytest

from bci.benchmark import store as stores
from bci.benchmark.store import Damaged, Store
from bci.errors import BciError


@pytest.fixture
def store(tmp_path: Path) -> Store:
    made = Store(tmp_path)
    made.create()
    return made


def test_rows_come_back(store: Store) -> None:
    rows = [{"score": 0.1 + 0.2, "error": "µV"}, {"score": float("nan"), "n": 3}]
    store.write("k", rows)
    back = store.read("k")
    assert back is not None
    assert back[0] == rows[0]
    assert math.isnan(back[1]["score"])
    assert store.read("other") is None


def test_any_changed_byte_is_damage(store: Store) -> None:
    store.write("k", [{"score": 0.25, "subject": "s1"}])
    data = store.path("k").read_bytes()
    for at in range(len(data)):
        store.path("k").write_bytes(data[:at] + bytes([data[at] ^ 4]) + data[at + 1 :])
        with pytest.raises(Damaged, match="is damaged"):
            store.read("k")


def test_a_file_under_another_name_is_damage(store: Store) -> None:
    store.write("k", [{"score": 0.25}])
    store.path("k").rename(store.path("j"))
    with pytest.raises(Damaged):
        store.read("j")


def test_a_write_that_fails_leaves_nothing(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    store.write("k", [{"score": 1}])

    def full(*args: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(OSError, match="No space"):
        store.write("k", [{"score": 2}])
    monkeypatch.undo()
    assert store.read("k") == [{"score": 1}]
    assert [p.name for p in store.units.iterdir()] == ["k.jsonl"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_unwritable_folder_is_one_clear_line(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(BciError, match="results cannot be written to"):
        Store(tmp_path / "out").create()


def test_a_file_in_the_way_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("")
    with pytest.raises(BciError, match="results cannot be written to .*out"):
        Store(tmp_path / "out").create()


def test_damaged_side_files_count_as_missing(store: Store) -> None:
    stores.replace(store.out / "index.json", b'{"half')
    assert store.read_json("index.json") is None
    store.write_json("index.json", {"a": [1]})
    assert store.read_json("index.json") == {"a": [1]}
