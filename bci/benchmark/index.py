"""What a benchmark knows of its data sets without their samples.

Labels, trials and the hash of the samples of each session are enough to plan
folds and to know which results are still good. They are kept in ``index.json``
under a fingerprint of the data set (settings, reading code, names, sizes and
times of its files): while that stands, nothing is read again.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Any

import numpy as np

from bci.benchmark.data import ContinuousSession, Dataset
from bci.benchmark.datasets import DatasetSettings
from bci.benchmark.folds import Part
from bci.benchmark.version import READING, code_version
from bci.errors import BciError

Json = dict[str, Any]


@dataclass(frozen=True)
class Subject:
    """What is known of one subject.

    `continuous` maps each continuous session to the hash of its recording; None
    while nobody asked. `error` says why it cannot be read.
    """

    name: str
    parts: tuple[Part, ...] = ()
    continuous: dict[str, str] | None = None
    error: str = ""


def fingerprint(dataset: Dataset) -> str:
    """Hash of all that the epochs depend on: settings, files and the code that reads them."""
    told = json.dumps(dataset.settings(), sort_keys=True, default=str)
    code = code_version(READING, ("numpy", "scipy", "mne", "moabb"))
    return hashlib.sha256(f"{dataset.name}\0{told}\0{code}".encode()).hexdigest()


def look(settings: DatasetSettings, name: str, continuous: bool) -> Json:
    """Read one subject and say what is worth knowing; runs in a worker."""
    dataset = settings.build()
    try:
        found: Json = {"parts": [_part(e) for e in dataset.epochs(name)]}
        if continuous:
            sessions = dataset.continuous(name)
            found["continuous"] = {s.session: recording_hash(s) for s in sessions}
        return found
    except (BciError, ValueError, OSError) as error:
        return {"error": f"{type(error).__name__}: {' '.join(str(error).split())}"}


def _part(epochs: Any) -> Json:
    return {
        "session": epochs.session,
        "sha256": epochs.sha256,
        "y": epochs.y.tolist(),
        "trials": epochs.trials.tolist(),
        "n_channels": epochs.X.shape[1],
        "n_times": epochs.X.shape[2],
        "sfreq": epochs.sfreq,
        "ch_names": list(epochs.ch_names),
    }


def recording_hash(session: ContinuousSession) -> str:
    """Hash of samples and markers of a recording."""
    recording = session.recording
    digest = hashlib.sha256(np.ascontiguousarray(recording.data).tobytes())
    told = [(m.index, m.value) for m in recording.markers]
    digest.update(json.dumps([told, session.labels, session.idle, session.stim_s]).encode())
    return digest.hexdigest()


def subject(dataset: Dataset, name: str, found: Json) -> Subject:
    """Read what `look` said, from a file or from a worker."""
    parts = tuple(
        Part(
            dataset=dataset.name,
            subject=name,
            session=p["session"],
            sha256=p["sha256"],
            y=np.array(p["y"], dtype=str),
            trials=np.array(p["trials"], dtype=np.int64),
            n_channels=p["n_channels"],
            n_times=p["n_times"],
            sfreq=p["sfreq"],
            ch_names=tuple(p["ch_names"]),
        )
        for p in found.get("parts", ())
    )
    return Subject(name, parts, found.get("continuous"), found.get("error", ""))
