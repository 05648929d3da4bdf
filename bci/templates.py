"""Sessions to start from: the example configurations, with another source put in.

What a session does (paradigm, processing, decoder, decision) comes from the template;
where its samples come from is chosen beside it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bci import config
from bci.config import Config, MarkerSettings, SourceSettings
from bci.errors import BciError

__all__ = ["Template", "find_templates", "simulated_paradigm", "with_source"]

_SPELLING = {"ssvep": "SSVEP", "lsl": "LSL", "brainflow": "BrainFlow"}
#: Where the examples lie: in the folder of the user, then beside this package.
FOLDERS = (Path("configs"), Path(__file__).parents[1] / "configs")


@dataclass(frozen=True, slots=True)
class Template:
    """An example configuration.

    Attributes
    ----------
    path : Path
        Its file.
    about : str
        What its first lines say of it.
    settings : mapping
        The file's content, not checked: enough to be shown.
    given : Config or None
        The session, where it is known already.
    """

    path: Path
    about: str
    settings: Mapping[str, Any]
    given: Config | None = None

    @property
    def config(self) -> Config:
        """The session; imports its decoder, which may take seconds the first time.

        Raises
        ------
        ConfigError
            The file does not describe a session.
        """
        return self.given or config.load(self.path)

    @property
    def name(self) -> str:
        """Name of the file, as a person writes it."""
        words = [_SPELLING.get(word, word) for word in self.path.stem.split("_")]
        return " ".join([words[0][:1].upper() + words[0][1:], *words[1:]])


def find_templates(folders: Iterable[Path] = FOLDERS) -> list[Template]:
    """Find the sessions in the folders, sorted by name; a file without a source is left out."""
    found: dict[str, Template] = {}
    for folder in folders:
        for path in sorted(folder.glob("*.yaml")):
            try:
                text = path.read_text(encoding="utf-8")
                _, settings = config.parse_yaml(text, str(path))
            except (OSError, UnicodeDecodeError, BciError):
                continue
            if isinstance(settings, dict) and "source" in settings:
                found.setdefault(path.name, Template(path, _about(text), settings))
    return sorted(found.values(), key=lambda template: template.path.name)


def _about(text: str) -> str:
    """The sentences of the comment at the file's top; how it is run is left out."""
    words = []
    for line in text.splitlines():
        said = line.removeprefix("#").strip()
        if not line.startswith("#") or said.startswith(("Run it:", "Replay it:", "1. ")):
            break
        words.append(said)
    return " ".join(words)


def with_source(template: Config, source: SourceSettings, marker_stream: bool = False) -> Config:
    """Take a template's session on another source.

    Markers come with the source where it has any (a recording, the simulated subject, a
    board), from an LSL stream where there is one, and else from a client such as the
    desktop application, which needs no setting.

    Parameters
    ----------
    template : Config
    source : SourceSettings
    marker_stream : bool
        Whether an LSL stream of type Markers is there to be read.
    """
    markers = template.markers
    if source.kind != "lsl":
        if markers.kind == "lsl":
            markers = MarkerSettings(kind="source", offset_s=markers.offset_s)
    elif markers.kind == "source" or (markers.kind == "lsl" and not marker_stream):
        markers = MarkerSettings(kind="lsl" if marker_stream else "none")
    return template.model_copy(update={"source": source, "markers": markers})


def simulated_paradigm(template: Config) -> str:
    """Choose what the simulated subject does in a template's session."""
    own = getattr(template.source, "paradigm", None)
    if own is not None:
        return str(own)
    imagined = any(str(code).startswith("cue/") for code in template.events.values())
    flickers = getattr(template.decoder, "frequencies_hz", None)
    if flickers is None and imagined:
        return "imagery"
    return "ssvep40" if flickers is not None and len(flickers) > 12 else "ssvep12"
