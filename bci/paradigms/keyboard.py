"""From selections to text: keyboards as data, and a state machine without side effects.

`KEYBOARD_40` has one symbol on each target. `KEYBOARD_12` has two levels: on
the first page are the space, the five most frequent letters of English and
five groups in alphabetical order; choosing a group opens its page. The last
target of every page takes back: it closes a page, or deletes the last letter.
`bci.paradigms.layouts` reads others from files, with keys that complete words.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal, Protocol

from bci.errors import ConfigError
from bci.paradigms.speller import TARGETS_12, TARGETS_40, Target

HOME = "home"
#: Signs that stand inside of words.
WORD_MARKS = "'’"


@dataclass(frozen=True, slots=True)
class Key:
    """What a target does on a page.

    Attributes
    ----------
    action : "type", "open", "complete", "undo", "clear", "speak" or "none"
    value : str
        The symbol that is typed, the page that is opened, or the word that is completed.
    caption : str
        What is drawn on the target.
    """

    action: Literal["type", "open", "complete", "undo", "clear", "speak", "none"]
    value: str = ""
    caption: str = ""


UNDO = Key("undo", caption="⌫")
CLEAR = Key("clear", caption="clear")
SPEAK = Key("speak", caption="speak")
#: Shows a word that the text may go on with: the first such key the likeliest, and so on.
WORD = Key("complete")
NOTHING = Key("none")


class Completer(Protocol):
    """Knows words."""

    def complete(self, text: str, n: int) -> tuple[str, ...]:
        """Whole words that may end `text`, at most `n`, the likeliest first."""
        ...


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
    language : str
        What is written with it, as `wordfreq` calls it ("en"); empty: unknown.
    """

    labels: tuple[str, ...]
    pages: Mapping[str, tuple[Key, ...]] = field(repr=False)
    language: str = ""

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

    Attributes
    ----------
    layout : KeyboardLayout
    text : str
    page : str
    words : Completer or None
        Fills the keys that complete words; None: they stay empty.
    jumps : tuple of (str, str)
        Text after and before each selection that changed more than the last symbol, and
        may still be taken back as a whole.
    """

    layout: KeyboardLayout
    text: str = ""
    page: str = HOME
    words: Completer | None = None
    jumps: tuple[tuple[str, str], ...] = ()

    @property
    def keys(self) -> tuple[Key, ...]:
        """What each target of the open page does now, in the order of the layout's labels."""
        keys = self.layout.pages[self.page]
        n_slots = sum(key.action == "complete" for key in keys)
        if not n_slots:
            return keys
        found = () if self.words is None else self.words.complete(self.text, n_slots)
        slots = iter([Key("complete", word, word) for word in found])
        return tuple(next(slots, NOTHING) if k.action == "complete" else k for k in keys)

    def key(self, label: str) -> Key:
        """Look up what the target `label` does now.

        Raises
        ------
        ValueError
            The layout has no such target.
        """
        if label not in self.layout.labels:
            raise ValueError(f"the keyboard has no target '{label}'")
        return self.keys[self.layout.labels.index(label)]

    def select(self, label: str) -> Keyboard:
        """Return the state after the target `label` was selected.

        Nothing in it tells that "speak" was: who can speak asks `key` before.
        """
        key = self.key(label)
        match key.action:
            case "type":
                return replace(self, text=self.text + key.value, page=HOME)
            case "open":
                return replace(self, page=key.value)
            case "complete":
                return self._jump(self.text.removesuffix(fragment(self.text)) + key.value + " ")
            case "speak":
                return replace(self, page=HOME)
            case "clear":
                return self.clear()
            case "undo":
                return self.undo()
        return self

    def _jump(self, text: str) -> Keyboard:
        jumps = (*self.jumps, (text, self.text)) if text != self.text else self.jumps
        return replace(self, text=text, page=HOME, jumps=jumps)

    def clear(self) -> Keyboard:
        """Return the state without text; undone, it comes back."""
        return self._jump("")

    def undo(self) -> Keyboard:
        """Return the state after taking back the last selection.

        A page is closed, a completed word taken away, a cleared text given back, or else
        the last symbol deleted.
        """
        if self.page != HOME:
            return replace(self, page=HOME)
        if self.jumps and self.jumps[-1][0] == self.text:
            return replace(self, text=self.jumps[-1][1], jumps=self.jumps[:-1])
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

        What is wrong is taken back and wrong pages closed first; words are completed
        where that saves a symbol. Empty when the text is the phrase already.

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
        label, back = None, self.undo().text
        lost = len(back) > len(self.text) and phrase.startswith(back)  # it was cleared
        if phrase.startswith(self.text) and not lost:
            if (label := self._completes(phrase)) is not None:
                return label
            symbol = phrase[len(self.text)]
            label = find(self.page, "type", symbol)
            if label is None and self.page == HOME:
                label = find(HOME, "open", self._page_with(symbol))
        return label or find(self.page, "undo") or ""

    def _completes(self, phrase: str) -> str | None:
        """Label of the word that brings the text two symbols or more towards the phrase."""
        for label, key in zip(self.layout.labels, self.keys, strict=True):
            if key.action == "complete":
                text = self.select(label).text
                if phrase.startswith(text) and len(text) > len(self.text) + 1:
                    return label
        return None

    def _page_with(self, symbol: str) -> str:
        return next(page for page in self.layout.pages if self.layout.find(page, "type", symbol))


def fragment(text: str) -> str:
    """The word that `text` ends in, so far; empty where none is begun."""
    stop = len(text)
    while stop and (text[stop - 1].isalpha() or text[stop - 1] in WORD_MARKS):
        stop -= 1
    return text[stop:]


def symbol_key(symbol: str) -> Key:
    """Key that types `symbol`."""
    return Key("type", symbol, "␣" if symbol == " " else symbol)


def _page(keys: Iterable[Key], n_targets: int) -> tuple[Key, ...]:
    """Keys, blanks, and the undo in the last place."""
    keys = tuple(keys)
    return (*keys, *[NOTHING] * (n_targets - 1 - len(keys)), UNDO)


def grouped(targets: tuple[Target, ...], direct: str, groups: Mapping[str, str]) -> KeyboardLayout:
    """Two levels: `direct` symbols and `groups` (caption: symbols) on the first page."""
    n = len(targets)
    home = [*map(symbol_key, direct), *(Key("open", name, name) for name in groups)]
    pages = {name: _page(map(symbol_key, symbols), n) for name, symbols in groups.items()}
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
