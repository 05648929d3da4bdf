"""Where the files of a session lie, and who may read them."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from bci.errors import RecordingError
from bci.recording.layout import beside, new_run, parse


@pytest.fixture
def _open_umask():
    old = os.umask(0)
    yield
    os.umask(old)


def test_names_follow_bids(tmp_path):
    paths = new_run(tmp_path / "rec", "P001", 1, "bci", "source: {}\n")
    folder = tmp_path / "rec" / "sub-P001" / "ses-001" / "eeg"
    assert paths.xdf == folder / "sub-P001_ses-001_task-bci_run-001_eeg.xdf"
    assert paths.events == folder / "sub-P001_ses-001_task-bci_run-001_events.jsonl"
    assert paths.ledger == beside(paths.xdf, "ledger.jsonl")
    assert paths.decisions == beside(paths.xdf, "decisions.jsonl")
    assert paths.config.read_text() == "source: {}\n"
    assert paths.models == folder.parent / "models"
    assert paths.models.is_dir()
    assert parse(paths.xdf) == paths


@pytest.mark.usefixtures("_open_umask")
def test_only_the_owner_can_read(tmp_path):
    paths = new_run(tmp_path / "a" / "rec", "P001", 1, "bci", "")
    for path in (tmp_path / "a").rglob("*"):
        assert path.stat().st_mode & 0o777 == (0o700 if path.is_dir() else 0o600), path
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o700
    assert paths.config.exists()


def test_each_run_gets_the_next_number_and_overwrites_nothing(tmp_path):
    first = new_run(tmp_path, "P001", 1, "bci", "1")
    assert new_run(tmp_path, "P001", 1, "bci", "2").run == 2
    first.folder.joinpath("sub-P001_ses-001_task-bci_run-007_eeg.xdf").write_text("")
    assert new_run(tmp_path, "P001", 1, "bci", "3").run == 8
    assert new_run(tmp_path, "P001", 2, "bci", "4").run == 1
    assert new_run(tmp_path, "P002", 1, "bci", "5").run == 1
    assert first.config.read_text() == "1"


def test_engines_that_start_at_once_get_different_runs(tmp_path):
    with ThreadPoolExecutor(8) as pool:
        runs = list(pool.map(lambda i: new_run(tmp_path, "P1", 1, "bci", str(i)), range(16)))
    assert sorted(paths.run for paths in runs) == list(range(1, 17))
    assert sorted(int(paths.config.read_text()) for paths in runs) == list(range(16))


@pytest.mark.parametrize("root", ["file", "file/inside", "/proc/inside"])
def test_an_unwritable_root_is_one_clear_line(tmp_path, root):
    (tmp_path / "file").write_text("")
    with pytest.raises(RecordingError, match=r"recording\.root") as caught:
        new_run(tmp_path / root, "P001", 1, "bci", "")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["", "a_b", "../x", "a b"])
def test_names_that_bids_forbids(tmp_path, name):
    with pytest.raises(ValueError, match="letters and digits"):
        new_run(tmp_path, name, 1, "bci", "")


def test_companions_of_any_name():
    assert beside("x/rec.xdf", "ledger.jsonl") == Path("x/rec_ledger.jsonl")
    assert beside("x/a_eeg.xdf", "events.jsonl") == Path("x/a_events.jsonl")
    assert beside("x/a_eeg_salvaged.xdf", "events.jsonl") == Path("x/a_events.jsonl")
    assert parse("x/rec.xdf") is None
