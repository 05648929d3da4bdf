"""What a text goes on with: words and their frequencies, and spelling where words end.

Words come from `wordfreq` [1]_, which brings its lists along; nothing is asked of
the network. A word is written in capitals, as the keyboards write.

Of the next symbol two models have an opinion. One knows words: what begins as the
word that the text ends in goes on in proportion to the frequency of the words that
begin like that. The other knows spelling: which letter, or end, follows the last
letters of a word, by Witten-Bell's interpolation of shorter and longer contexts [2]_.
A share of words stands in no list. How much of the opinion is whose follows from
Bayes' rule, by how well each of them explains the word so far. A little is spread
over all symbols in the end, so that no one is impossible.

.. [1] Speer (2022). rspeer/wordfreq: v3.0. Zenodo, 10.5281/zenodo.7199437.
.. [2] Chen, Goodman (1999). An empirical study of smoothing techniques for language
   modeling. Comput. Speech Lang. 13, 359.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from functools import lru_cache
from importlib.util import find_spec
from itertools import islice
from typing import Any

import numpy as np

from bci.errors import ConfigError
from bci.extras import optional
from bci.paradigms.keyboard import WORD_MARKS, fragment

#: Words that are known, the most frequent ones.
N_WORDS = 100_000
#: Words that spelling is learnt from.
N_SPELLED = 10_000
#: Letters that spelling looks back.
ORDER = 3
#: Share of running words that no list has: names, slips (choice).
UNLISTED = 0.03
#: Share of the ends of a word that are a space; other signs share the rest (choice).
SPACE = 0.85
#: Share that is spread evenly over all symbols (choice).
ANYTHING = 0.01
#: End of a word, where letters are meant; sorts before every letter.
END = "\0"


class LanguageModel:
    """Words and spelling of one language.

    Parameters
    ----------
    frequencies : mapping of str to float
        Words (in any case) and how often each is used, in any unit; the most frequent first.
    symbols : iterable of str
        What can be typed: words with other letters are left out.

    Attributes
    ----------
    symbols : tuple of str
        Sorted.

    Raises
    ------
    ValueError
        No word is left.
    """

    def __init__(self, frequencies: Mapping[str, float], symbols: Iterable[str]) -> None:
        self.symbols = tuple(sorted(set(symbols)))
        letters = {s for s in self.symbols if s.isalpha() or s in WORD_MARKS}
        counts: dict[str, float] = {}
        for word, frequency in frequencies.items():
            capitals = word.upper()
            if frequency > 0.0 and capitals and letters.issuperset(capitals):
                counts[capitals] = counts.get(capitals, 0.0) + frequency
        if not counts:
            raise ValueError("there is no word that can be written with these symbols")
        self._words = sorted(counts)
        self._frequency = np.array([counts[word] for word in self._words], dtype=np.float64)
        self._frequency /= self._frequency.sum()
        self._before = np.concatenate([[0.0], np.cumsum(self._frequency)])
        self._letters = (END, *sorted(letters))
        self._spelling = _Spelling(counts, len(self._letters))
        self._cached_complete = lru_cache(maxsize=4096)(self._complete)
        self._cached_next = lru_cache(maxsize=4096)(self._next_letters)

    # --- words -------------------------------------------------------------------------------

    def complete(self, text: str, n: int) -> tuple[str, ...]:
        """Words that the word may become that `text` ends in, at most `n`, the likeliest first.

        That word as it stands is none of them. Words of one frequency are in alphabetical
        order.
        """
        before, begun = self._begun(text)
        return tuple(before + word for word in self._cached_complete(begun, n))

    def probability(self, text: str, word: str) -> float:
        """Probability that the word that `text` ends in becomes `word`, 0 to 1."""
        before, begun = self._begun(text)
        frequency = self._frequency_of(word.removeprefix(before))
        if not word.startswith(before + begun) or not frequency:
            return 0.0
        return self._share_listed(begun) * frequency / self._mass(begun)

    def _begun(self, text: str) -> tuple[str, str]:
        """What is elided before the word that `text` ends in (L', QU'), and that word so far."""
        whole = fragment(text.upper())
        cut = max(whole.rfind(mark) for mark in WORD_MARKS) + 1
        if cut and self._mass(whole[:cut]) < UNLISTED * self._frequency_of(whole[: cut - 1]):
            return whole[:cut], whole[cut:]
        return "", whole

    def _frequency_of(self, word: str) -> float:
        found = bisect_left(self._words, word)
        return float(self._frequency[found]) if self._words[found : found + 1] == [word] else 0.0

    def _complete(self, begun: str, n: int) -> tuple[str, ...]:
        first, stop = self._range(begun)
        first += self._words[first : first + 1] == [begun]
        found = self._frequency[first:stop]
        if 0 < n < len(found):
            least = np.partition(found, len(found) - n)[len(found) - n]
            places = np.flatnonzero(found >= least)
        else:
            places = np.arange(len(found))
        order = np.argsort(-found[places], kind="stable")[:n]
        return tuple(self._words[first + k] for k in places[order].tolist())

    def _range(self, begun: str) -> tuple[int, int]:
        """Places of the words that begin like this."""
        first = bisect_left(self._words, begun)
        return first, bisect_left(self._words, begun + "\U0010ffff", lo=first)

    def _mass(self, begun: str) -> float:
        """Share of running words that begin like this."""
        first, stop = self._range(begun)
        return float(self._before[stop] - self._before[first])

    # --- symbols -----------------------------------------------------------------------------

    def next_symbols(self, text: str) -> dict[str, float]:
        """Probability of each symbol to be the next of `text`; their sum is 1, none is 0."""
        text = text.upper()
        before, begun = self._begun(text)
        if before or begun or not text or text[-1].isspace():
            letters = dict(zip(self._letters, self._cached_next(begun), strict=True))
        else:  # behind a full stop, a digit …
            letters = {END: 1.0}
        ends = letters.pop(END)
        others = [s for s in self.symbols if s not in letters]
        spread = {s: ends * self._share_of_ends(s, others) for s in others}
        p = {s: letters.get(s, 0.0) + spread.get(s, 0.0) for s in self.symbols}
        total = sum(p.values()) or 1.0
        even = ANYTHING / len(p)
        return {s: (1.0 - ANYTHING) * q / total + even for s, q in p.items()}

    @staticmethod
    def _share_of_ends(symbol: str, others: list[str]) -> float:
        """Share of a word's ends that are made by `symbol`, among those that are not letters."""
        if " " not in others:
            return 1.0 / len(others)
        return SPACE if symbol == " " else (1.0 - SPACE) / max(1, len(others) - 1)

    def _next_letters(self, begun: str) -> tuple[float, ...]:
        """Probability of `END` and of each letter after the beginning of a word."""
        contexts = self._spelling.contexts(begun)
        p_spelled = np.array([self._spelling.after(contexts, k) for k in self._letters])
        if not begun:
            p_spelled[0] = 0.0  # no word is empty
            p_spelled /= p_spelled.sum()
        mass = self._mass(begun)
        if mass <= 0.0:
            return tuple(p_spelled.tolist())
        masses = [self._mass(begun + letter) for letter in self._letters[1:]]
        p_listed = np.array([max(0.0, mass - sum(masses)), *masses]) / mass
        listed = self._share_listed(begun)
        return tuple((listed * p_listed + (1.0 - listed) * p_spelled).tolist())

    def _share_listed(self, begun: str) -> float:
        """Probability that a word that begins like this is in the list."""
        listed = (1.0 - UNLISTED) * self._mass(begun)
        return listed / (listed + UNLISTED * self._spelling.probability(begun))


class _Spelling:
    """How words are spelled: letters after up to `ORDER` letters, interpolated."""

    def __init__(self, counts: Mapping[str, float], n_letters: int) -> None:
        self._n_letters = n_letters
        self._after: defaultdict[str, Counter[str]] = defaultdict(Counter)
        often = sorted(counts, key=lambda word: (-counts[word], word))[:N_SPELLED]
        for word in often:  # each word once: names are spelled like rare words, not like "the"
            marked = f"{END}{word}{END}"
            for k in range(1, len(marked)):
                for start in range(max(0, k - ORDER), k + 1):
                    self._after[marked[start:k]][marked[k]] += 1
        self._total = {context: after.total() for context, after in self._after.items()}

    def contexts(self, begun: str) -> list[str]:
        """What is known of the end of the beginning of a word, from short to long."""
        marked = END + begun
        starts = range(len(marked), max(-1, len(marked) - ORDER - 1), -1)
        return [marked[start:] for start in starts if marked[start:] in self._after]

    def after(self, contexts: Iterable[str], letter: str) -> float:
        """Witten-Bell: a longer context counts the more, the fewer kinds of letters follow it."""
        p = 1.0 / self._n_letters
        for context in contexts:
            total, kinds = self._total[context], len(self._after[context])
            p = (self._after[context][letter] + kinds * p) / (total + kinds)
        return p

    def probability(self, begun: str) -> float:
        """Probability that a word begins like this."""
        return math.prod(self.after(self.contexts(begun[:k]), begun[k]) for k in range(len(begun)))


def languages() -> tuple[str, ...]:
    """Languages that words are there for, as `wordfreq` calls them.

    Raises
    ------
    MissingDependency
        `wordfreq` is not installed.
    """
    return tuple(sorted(_wordfreq().available_languages()))


@lru_cache(maxsize=4)
def load_language(language: str, symbols: frozenset[str]) -> LanguageModel:
    """Words and spelling of a language, for a keyboard with these symbols; kept once loaded.

    Raises
    ------
    ConfigError
        There are no words for this language, or none that can be typed.
    MissingDependency
        `wordfreq` is not installed.
    """
    found = languages()
    if language not in found:
        raise ConfigError(f"no words of the language '{language}'; there are {', '.join(found)}")
    frequencies = _wordfreq().get_frequency_dict(language, wordlist="best")
    try:
        return LanguageModel(dict(islice(frequencies.items(), N_WORDS)), symbols)
    except ValueError as error:
        raise ConfigError(f"language '{language}': {error}") from error


def installed() -> bool:
    """Whether there are words at all: `wordfreq` is an optional package."""
    return find_spec("wordfreq") is not None


def _wordfreq() -> Any:
    return optional("wordfreq", "word completion", "language")
