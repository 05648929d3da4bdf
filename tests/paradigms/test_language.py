"""Words and spelling against brute force, with and without the real lists."""

import math
from itertools import islice, pairwise

import pytest

from bci.errors import ConfigError
from bci.paradigms.language import (
    ANYTHING,
    N_WORDS,
    ORDER,
    SPACE,
    UNLISTED,
    LanguageModel,
    languages,
    load_language,
)
from bci.paradigms.layouts import load_layout

wordfreq = pytest.importorskip("wordfreq", reason="the extra 'language' is not installed")

FEW = {"the": 50.0, "to": 30.0, "then": 6.0, "The": 5.0, "tea": 5.0, "it's": 4.0, "çà": 9.0}
SYMBOLS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ'., 12"
#: Of all keyboards, so that each language is loaded once.
ALL = frozenset().union(*(load_layout(f"{name}_40").symbols for name in ("en", "de", "fr")))


@pytest.fixture(scope="module")
def few():
    return LanguageModel(FEW, SYMBOLS)


@pytest.fixture(scope="module", params=["en", "de", "fr"])
def real(request):
    """A language, and what its list says: capitals and frequency."""
    words: dict[str, float] = {}
    listed = wordfreq.get_frequency_dict(request.param, wordlist="best")
    for word, frequency in islice(listed.items(), N_WORDS):
        if all(c.isalpha() or c in "'’" for c in word) and set(word.upper()) <= ALL:
            words[word.upper()] = words.get(word.upper(), 0.0) + frequency
    return load_language(request.param, ALL), words


# --- words ---------------------------------------------------------------------------------------


def test_words_of_a_short_list(few):
    assert few.complete("", 3) == ("THE", "TO", "THEN")
    assert few.complete("IS IT THE", 3) == ("THEN",)  # not the word that stands there
    assert few.complete("t", 9) == ("THE", "TO", "THEN", "TEA")
    assert few.complete("1 it", 2) == ("IT'S",)
    assert few.complete("OFF.T", 1) == ("THE",)
    assert few.complete("XY", 2) == ()
    assert few.complete("", 0) == ()


def test_words_of_one_frequency_are_in_alphabetical_order():
    model = LanguageModel({"b": 1.0, "c": 1.0, "a": 1.0, "d": 2.0}, "ABCD ")
    assert model.complete("", 3) == ("D", "A", "B")


def test_words_of_real_lists_against_brute_force(real):
    model, words = real
    for begun in ("", "A", "S", "TE", "IN", "CON", "ZZQ", "DA"):
        found = model.complete(f"X {begun}", 5)
        expected = sorted(
            (w for w in words if w.startswith(begun) and w != begun), key=lambda w: (-words[w], w)
        )
        assert list(found) == expected[:5]


def test_a_words_probability(few):
    total = sum(FEW.values()) - FEW["çà"]
    listed = (1 - UNLISTED) / (1 - UNLISTED + UNLISTED)  # nothing is typed: no evidence yet
    assert few.probability("", "THE") == pytest.approx(listed * 55 / total)
    assert few.probability("TH", "TO") == few.probability("TH", "THX") == 0.0
    assert few.probability("TH", "THE") > 0.85
    assert few.probability("TH", "THE") / few.probability("TH", "THEN") == pytest.approx(55 / 6)


def test_words_after_an_elision():
    model = LanguageModel({"l": 9.0, "ami": 3.0, "amie": 1.0, "it": 9.0, "it's": 2.0}, SYMBOLS)
    assert model.complete("L'AM", 2) == ("L'AMI", "L'AMIE")
    assert model.complete("L'AMI", 2) == ("L'AMIE",)
    assert model.complete("IT'", 2) == ("IT'S",)  # a word of its own
    assert model.probability("L'AM", "L'AMI") == pytest.approx(model.probability("AM", "AMI"))
    assert model.next_symbols("L'AM") == model.next_symbols("AM")
    assert model.next_symbols("L'") == model.next_symbols("")
    french = load_language("fr", ALL)
    assert french.complete("JE VOIS L'AMOU", 1) == ("L'AMOUR",)
    assert french.complete("AUJOURD'", 1) == ("AUJOURD'HUI",)
    assert load_language("en", ALL).complete("I DON'", 1) == ("DON'T",)


# --- symbols -------------------------------------------------------------------------------------


def spelled(model_words, begun, letter):
    """Witten-Bell by its definition, counting afresh for every context."""
    n_letters = 1 + len([s for s in SYMBOLS if s.isalpha() or s == "'"])
    marked = [f"\0{w}\0" for w in model_words]
    text, p = "\0" + begun, 1 / n_letters
    for length in range(min(ORDER, len(text)) + 1):
        context = text[len(text) - length :]
        after = [
            w[k]
            for w in marked
            for k in range(1, len(w))
            if w[max(0, k - length) : k] == context and k >= length
        ]
        if after:
            kinds = len(set(after))
            p = (after.count(letter) + kinds * p) / (len(after) + kinds)
    return p


@pytest.mark.parametrize("begun", ["", "T", "TH", "THE", "TX", "QQ"])
def test_symbols_of_a_short_list_by_definition(few, begun):
    words = {w.upper(): f for w, f in FEW.items() if w != "çà"} | {"THE": 55.0}
    letters = [s for s in SYMBOLS if s.isalpha() or s == "'"]
    mass = sum(f for w, f in words.items() if w.startswith(begun))
    total = sum(words.values())
    q = math.prod(spelled(words, begun[:k], begun[k]) for k in range(len(begun)))
    listed = (1 - UNLISTED) * mass / total
    listed = listed / (listed + UNLISTED * q)
    p = {}
    for letter in ["\0", *letters]:
        other = spelled(words, begun, letter)
        if not begun:
            other = 0.0 if letter == "\0" else other / (1 - spelled(words, begun, "\0"))
        full = begun + letter.strip("\0")
        going = sum(f for w, f in words.items() if w.startswith(full))
        known = words.get(begun, 0.0) if letter == "\0" else going
        p[letter] = other if not mass else listed * known / mass + (1 - listed) * other
    assert sum(p.values()) == pytest.approx(1.0)
    found = few.next_symbols(f"SO {begun}")
    even = ANYTHING / len(SYMBOLS)
    for letter in letters:
        assert found[letter] == pytest.approx((1 - ANYTHING) * p[letter] + even)
    assert found[" "] == pytest.approx((1 - ANYTHING) * SPACE * p["\0"] + even)
    assert (
        found["1"] == found["."] == pytest.approx((1 - ANYTHING) * (1 - SPACE) * p["\0"] / 4 + even)
    )


@pytest.mark.parametrize("text", ["", "T", "the", "HELLO W", "XQJ", "OK.", "12", "A ", "'", "ÄÖ"])
def test_probabilities_sum_to_one_and_none_is_zero(real, text):
    model, _ = real
    p = model.next_symbols(text)
    assert set(p) == set(model.symbols)
    assert sum(p.values()) == pytest.approx(1.0)
    assert min(p.values()) > 1e-5
    assert model.next_symbols(text) == p


def test_keyboards_without_space_or_signs():
    p = LanguageModel({"ab": 1.0}, "AB").next_symbols("AB")
    assert sum(p.values()) == pytest.approx(1.0)
    p = LanguageModel({"ab": 1.0}, "AB.").next_symbols("AB")
    assert p["."] > 0.9


SENTENCES = {
    "en": "IT WAS A LONG WAY FROM THE STATION TO THE HOUSE AND NOBODY SPOKE",
    "de": "ES WAR EIN WEITER WEG VOM BAHNHOF ZUM HAUS UND NIEMAND SAGTE ETWAS ÜBER MÖBEL",
    "fr": "IL Y AVAIT UN LONG CHEMIN DE LA GARE À LA MAISON ET PERSONNE NE PARLAIT",
}


def bits(model, text):
    """Bits a symbol that the text costs."""
    costs = [-math.log2(model.next_symbols(text[:k])[text[k]]) for k in range(len(text))]
    return sum(costs) / len(costs)


@pytest.mark.parametrize("language", SENTENCES)
def test_each_language_is_best_at_itself(language):
    cost = {other: bits(load_language(other, ALL), SENTENCES[language]) for other in SENTENCES}
    assert min(cost, key=cost.__getitem__) == language
    assert cost[language] < 2.8 < math.log2(len(ALL))


def test_a_name_that_is_in_no_list_is_spelled_on():
    model = load_language("en", ALL)
    text = "VESTERGRUNDT"
    assert model.complete(text, 1) == ()
    worst = max(-math.log2(model.next_symbols(a)[b[-1]]) for a, b in pairwise(prefixes(text)))
    assert worst < math.log2(len(ALL) / ANYTHING)


def prefixes(text):
    return [text[:k] for k in range(len(text) + 1)]


# --- what is not there ---------------------------------------------------------------------------


def test_unknown_languages_and_keyboards_without_letters():
    assert {"en", "de", "fr", "es", "it", "nl"} <= set(languages())
    with pytest.raises(ConfigError, match="no words of the language 'xx'; there are ar, bg"):
        load_language("xx", frozenset("AB"))
    with pytest.raises(ConfigError, match="language 'en': there is no word that can be written"):
        load_language("en", frozenset("12"))
