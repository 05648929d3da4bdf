"""What a speller expects of the next selection: a prior over its targets, from the text so far.

A participant wants a symbol, a word that is offered, or to take back what was
misunderstood. `POST /v1/prior` takes the answer as it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from bci.paradigms.keyboard import Completer, Keyboard, fragment

#: Share of selections that were misunderstood, where nobody has counted them (choice).
ERROR_RATE = 0.05
#: Share of words that are completed by their key, where it is offered (choice).
COMPLETED = 0.7
#: How often a key like "clear" or "speak" is wanted for each symbol that is (choice).
SELDOM = 0.005
_SELDOM = ("clear", "speak")


class Language(Completer, Protocol):
    """Knows words, and what a text goes on with (`bci.paradigms.language.LanguageModel`)."""

    def next_symbols(self, text: str) -> Mapping[str, float]:
        """Probability of each symbol to be the next of `text`."""
        ...

    def probability(self, text: str, word: str) -> float:
        """Probability that the word that `text` ends in becomes `word`."""
        ...


def expect(
    keyboard: Keyboard, language: Language, error_rate: float = ERROR_RATE
) -> dict[str, float]:
    """Probability of each target to be the next that is looked at.

    Parameters
    ----------
    keyboard : Keyboard
    language : Language
        Should know the keyboard's symbols.
    error_rate : float
        Probability that the last selection was wrong, and is to be taken back.

    Returns
    -------
    dict of str to float
        Label: probability. They sum to 1; a target without a key has 0.
    """
    wanted = _wanted(keyboard, language)
    p = [wanted.get((key.action, key.value), 0.0) for key in keyboard.keys]
    if sum(p) <= 0.0:  # a page with nothing to want: it was opened by mistake
        p = [float(key.action != "none") for key in keyboard.keys]
    undone = error_rate if keyboard.undo() != keyboard else 0.0
    rest = (1.0 - undone) / sum(p)
    return {
        label: rest * q + (undone if key.action == "undo" else 0.0)
        for label, key, q in zip(keyboard.layout.labels, keyboard.keys, p, strict=True)
    }


def _wanted(keyboard: Keyboard, language: Language) -> dict[tuple[str, str], float]:
    """How much each key of the open page is wanted for what it writes."""
    symbols = dict(language.next_symbols(keyboard.text))
    wanted: dict[tuple[str, str], float] = {}
    for key in keyboard.keys:
        if key.action == "complete":
            p = COMPLETED * language.probability(keyboard.text, key.value)
            wanted[key.action, key.value] = p
            following = f"{key.value} "[len(fragment(keyboard.text))]
            symbols[following] = max(0.0, symbols.get(following, 0.0) - p)
    seldom = SELDOM if keyboard.text else 0.0
    pages = keyboard.layout.pages
    here = {key.value for key in pages[keyboard.page] if key.action == "type"}
    for key in pages[keyboard.page]:
        if key.action == "type":
            wanted[key.action, key.value] = symbols.get(key.value, 0.0)
        elif key.action in _SELDOM:
            wanted[key.action, key.value] = seldom
        elif key.action == "open":
            there = {k.value for k in pages[key.value] if k.action == "type"}
            n_seldom = sum(k.action in _SELDOM for k in pages[key.value])
            p = sum(symbols.get(s, 0.0) for s in there - here)
            wanted[key.action, key.value] = p + n_seldom * seldom
    return wanted
