"""From selections to text: keyboards as data, and a state machine without side effects.

`KEYBOARD_40` has one symbol on each target. `KEYBOARD_12` has two levels: on
the first page are the space, the five most frequent letters of English and
five groups in alphabetical order; choosing a group opens its page. The last
target of every page takes back: it closes a page, or deletes the last letter.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from bci.errors import ConfigError
from bci.paradigms.speller import TARGETS_12, TARGETS_40, Target

HOME = "home"


@dataclass(frozen=True, slots=True)
class Key:
    """What a target does on a page.

    Attributes
    ----------
    action : "type", "open", "undo" or "none"
    value : str
        The symbol that is typed, or the page that is opened.
    caption : str
        What is drawn on the target.
    """

    action: Literal["type", "open", "undo", "none"]
    value: str = ""
    caption: str = ""


UNDO = Key("undo", caption="⌫")
NOTHING = Key("none")


@dataclass(frozen=True, slots=True)
class KeyboardLayout:
    """Pages of keys over one set of targets.

    Attributes
    ----------
    labels : tuple of str
        Labels of the targets, in reading order.
    pages : mapping of str to tuple of Key
        Keys of each page in the same order; "home" is the first page. Every page
        has an undo key, and every other page is opened from the first.
    """

    labels: tuple[str, ...]
    pages: Mapping[str, tuple[Key, ...]] = field(repr=False)

    def __post_init__(self) -> None:
        for name, keys in self.pages.items():
            if len(keys) != len(self.labels) or UNDO not in keys:
                raise ValueError(
                    f"page '{name}' has {len(keys)} keys for {len(self.labels)} targets; "
                    "one for each is needed, among them an undo"
                )
        opened = {key.value for key in self.pages[HOME] if key.action == "open"}
        if opened != set(self.pages) - {HOME}:
            raise ValueError(f"the first page opens {sorted(opened)}, not every page there is")

    @property
    def symbols(self) -> frozenset[str]:
        """Everything that can be typed."""
        keys = (key for page in self.pages.values() for key in page)
        return frozenset(key.value for key in keys if key.action == "type")

    def find(self, page: str, action: str, value: str = "") -> str | None:
        """Label of the key on `page` with this action and value; None where there is none."""
        for label, key in zip(self.labels, self.pages[page], strict=True):
            if key.action == action and key.value == value:
                return label
        return None


@dataclass(frozen=True, slots=True)
class Keyboard:
    """A keyboard in a state: the text so far and the page that is open.

    Immutable: `select` returns the next state.
    """

    layout: KeyboardLayout
    text: str = ""
    page: str = HOME

    def key(self, label: str) -> Key:
        """Look up what the target `label` does now.

        Raises
        ------
        ValueError
            The layout has no such target.
        """
        if label not in self.layout.labels:
            raise ValueError(f"the keyboard has no target '{label}'")
        return self.layout.pages[self.page][self.layout.labels.index(label)]

    def select(self, label: str) -> Keyboard:
        """Return the state after the target `label` was selected."""
        key = self.key(label)
        match key.action:
            case "type":
                return replace(self, text=self.text + key.value, page=HOME)
            case "open":
                return replace(self, page=key.value)
            case "undo":
                return self.undo()
        return self

    def undo(self) -> Keyboard:
        """Return the state after taking back: the page closed, or else the last symbol deleted."""
        if self.page != HOME:
            return replace(self, page=HOME)
        return replace(self, text=self.text[:-1])

    def spellable(self, phrase: str) -> str:
        """`phrase` as this keyboard writes it (capitals).

        Raises
        ------
        ConfigError
            A character of it is not on the keyboard.
        """
        wanted = phrase.upper()
        missing = sorted(set(wanted) - self.layout.symbols)
        if missing:
            have = "".join(sorted(self.layout.symbols))
            raise ConfigError(
                f"the keyboard cannot type {', '.join(map(repr, missing))} of '{phrase}'; "
                f"it has: {have}"
            )
        return wanted

    def targets_for(self, phrase: str) -> tuple[str, ...]:
        """Labels that a user without fault selects from here until the text is `phrase`.

        Wrong letters are deleted and wrong pages closed first; empty when the text
        is the phrase already.

        Raises
        ------
        ConfigError
            A character of `phrase` is not on the keyboard.
        """
        phrase = self.spellable(phrase)
        state, labels = self, list[str]()
        while state.text != phrase:
            labels.append(state._towards(phrase))
            state = state.select(labels[-1])
        return tuple(labels)

    def _towards(self, phrase: str) -> str:
        find = self.layout.find
        label = None
        if phrase.startswith(self.text):
            symbol = phrase[len(self.text)]
            label = find(self.page, "type", symbol)
            if label is None and self.page == HOME:
                label = find(HOME, "open", self._page_with(symbol))
        return label or find(self.page, "undo") or ""

    def _page_with(self, symbol: str) -> str:
        return next(page for page in self.layout.pages if self.layout.find(page, "type", symbol))


def _captioned(symbol: str) -> Key:
    return Key("type", symbol, "␣" if symbol == " " else symbol)


def _page(keys: Iterable[Key], n_targets: int) -> tuple[Key, ...]:
    """Keys, blanks, and the undo in the last place."""
    keys = tuple(keys)
    return (*keys, *[NOTHING] * (n_targets - 1 - len(keys)), UNDO)


def grouped(targets: tuple[Target, ...], direct: str, groups: Mapping[str, str]) -> KeyboardLayout:
    """Two levels: `direct` symbols and `groups` (caption: symbols) on the first page."""
    n = len(targets)
    home = [*map(_captioned, direct), *(Key("open", name, name) for name in groups)]
    pages = {name: _page(map(_captioned, symbols), n) for name, symbols in groups.items()}
    return KeyboardLayout(tuple(t.label for t in targets), {HOME: _page(home, n), **pages})


#: Two selections a symbol, one for the space and the five most frequent letters of English
#: (E T A O I; these stand in their groups too).
KEYBOARD_12 = grouped(
    TARGETS_12,
    " EAOTI",
    {
        "A–I": "ABCDEFGHI",
        "J–R": "JKLMNOPQR",
        "S–Z": "STUVWXYZ",
        "0–9": "0123456789",
        ". , ?": ".,?!'-:/@&+",
    },
)

#: One selection a symbol: letters, digits, space, comma, full stop; the last target is undo.
KEYBOARD_40 = grouped(TARGETS_40, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789 ,.", {})
