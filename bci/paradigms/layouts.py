"""Keyboards from YAML files: which key is where, in which language.

::

    language: en                   # of the words that are offered and expected
    pages:
      home:                        # the first page; rows as on the screen
        - [A, B, C, word]          # a symbol, or a word that may complete the text
        - [space, clear, speak, undo]
        - [{open: "1–9"}]          # what is left of a row stays empty
      "1–9": …                     # every page is opened from home, and has an undo

Files of this package are known by their name ("en_40"), others by their path.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from importlib import resources
from pathlib import Path
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, ValidationError

from bci.config import Settings, did_you_mean, explain, line_of, parse_yaml
from bci.errors import ConfigError
from bci.paradigms.keyboard import (
    CLEAR,
    HOME,
    NOTHING,
    SPEAK,
    UNDO,
    WORD,
    Key,
    KeyboardLayout,
    symbol_key,
)
from bci.paradigms.speller import TARGETS_12, TARGETS_40, Target

_FOLDER = resources.files("bci.paradigms") / "keyboards"
_KNOWN = {
    "space": symbol_key(" "),
    "undo": UNDO,
    "clear": CLEAR,
    "speak": SPEAK,
    "word": WORD,
    "none": NOTHING,
}


def _key(value: Any) -> Key:
    """A key as it stands in the file."""
    match value:
        case int() if not isinstance(value, bool) and 0 <= value <= 9:
            return symbol_key(str(value))
        case str() if value in _KNOWN:
            return _KNOWN[value]
        case str() if len(value) == 1:
            if value != value.upper():
                raise ValueError(
                    f"keyboards write capitals: '{value.upper()}' instead of '{value}'"
                )
            return symbol_key(value)
        case {"open": str() as page} if len(value) == 1:
            return Key("open", page, page)
        case str():
            near = did_you_mean(value, _KNOWN)
            raise ValueError(f"'{value}' is neither one symbol nor a key with a name{near}")
    raise ValueError(
        f"a key is one symbol in quotes, {{open: PAGE}} or one of {', '.join(_KNOWN)}; "
        f"found {value!r}"
    )


class _File(Settings):
    """A keyboard as it stands in its file."""

    language: str = ""
    pages: dict[str, list[list[Annotated[Any, BeforeValidator(_key)]]]] = Field(min_length=1)


def names() -> tuple[str, ...]:
    """Keyboards that come with the package."""
    return tuple(sorted(f.name.removesuffix(".yaml") for f in _FOLDER.iterdir()))


def load_layout(name: str | Path, targets: Sequence[Target] | None = None) -> KeyboardLayout:
    """Read a keyboard.

    Parameters
    ----------
    name : str or path
        One of `names`, or a file.
    targets : sequence of Target, optional
        What flickers, row by row; None: `TARGETS_12` or `TARGETS_40`, the first that is
        large enough.

    Raises
    ------
    ConfigError
        There is no such keyboard, or its file is wrong; the message names the line.
    """
    where, text = _read(name)
    node, data = parse_yaml(text, where)
    try:
        file = _File.model_validate(data)
    except ValidationError as error:
        raise ConfigError(
            "\n".join(
                f"{where}:{line_of(node, e['loc'])}: {explain(e, (), _File)}"
                for e in error.errors(include_url=False)
            )
        ) from error
    if targets is None:
        fitting = (t for t in (TARGETS_12, TARGETS_40) if _fits(file.pages, t))
        targets = next(fitting, TARGETS_40)
    mistakes = [
        f"{where}:{line_of(node, ('pages', page))}: page '{page}' {what}"
        for page, what in _mistakes(file.pages, targets)
    ]
    if mistakes:
        raise ConfigError("\n".join(mistakes))
    pages = {name: _placed(rows, targets) for name, rows in file.pages.items()}
    return KeyboardLayout(tuple(t.label for t in targets), pages, file.language)


def _read(name: str | Path) -> tuple[str, str]:
    """What to call the keyboard in a message, and its text."""
    if str(name) in names():
        return f"{name}.yaml", (_FOLDER / f"{name}.yaml").read_text(encoding="utf-8")
    path = Path(name)
    if path.suffix not in (".yaml", ".yml"):
        raise ConfigError(f"there is no keyboard '{name}'{did_you_mean(str(name), names())}")
    try:
        return str(path), path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read: {error}") from error


Rows = list[list[Key]]


def _shape(targets: Sequence[Target]) -> tuple[int, int]:
    return 1 + max(t.row for t in targets), 1 + max(t.column for t in targets)


def _fits(pages: dict[str, Rows], targets: Sequence[Target]) -> bool:
    n_rows, n_columns = _shape(targets)
    return all(
        len(rows) <= n_rows and all(len(row) <= n_columns for row in rows)
        for rows in pages.values()
    )


def _mistakes(pages: dict[str, Rows], targets: Sequence[Target]) -> Iterator[tuple[str, str]]:
    """Pages on which something is wrong, and what."""
    n_rows, n_columns = _shape(targets)
    if HOME not in pages:
        yield next(iter(pages)), f"is not the first one: '{HOME}' is missing"
        return
    reached = {key.value for key in _keys(pages[HOME]) if key.action == "open"}
    for page, rows in pages.items():
        widest = max((len(row) for row in rows), default=0)
        if len(rows) > n_rows or widest > n_columns:
            size = f"has {len(rows)} rows of up to {widest} keys"
            yield page, f"{size}; there are targets for {n_rows} rows of {n_columns}"
        keys = list(_keys(rows))
        if UNDO not in keys:
            yield page, "has no 'undo', so that nothing could be taken back there"
        counts = Counter(key for key in keys if key not in (NOTHING, WORD))
        for key in (key for key, n in counts.items() if n > 1):
            yield page, f"has '{key.caption}' twice; one target is enough for it"
        opened = {key.value for key in keys if key.action == "open"}
        if unknown := sorted(opened - set(pages)):
            yield page, f"opens {', '.join(map(repr, unknown))}, which is no page"
        if page != HOME and opened:
            yield page, f"opens another; only '{HOME}' may"
        if page != HOME and page not in reached:
            yield page, f"cannot be reached: '{HOME}' does not open it"


def _keys(rows: Rows) -> Iterator[Key]:
    return (key for row in rows for key in row)


def _placed(rows: Rows, targets: Sequence[Target]) -> tuple[Key, ...]:
    """The key of each target."""
    at = {(r, c): key for r, row in enumerate(rows) for c, key in enumerate(row)}
    return tuple(at.get((t.row, t.column), NOTHING) for t in targets)
