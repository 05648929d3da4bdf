"""What a speller expects: a distribution over the targets of the page that is open."""

import math

import pytest

from bci.paradigms.expectation import COMPLETED, ERROR_RATE, SELDOM, expect
from bci.paradigms.keyboard import KEYBOARD_12, Keyboard, fragment
from bci.paradigms.language import LanguageModel
from bci.paradigms.layouts import load_layout, names

WORDS = {"the": 60.0, "to": 20.0, "then": 10.0, "at": 10.0}


def keyboard_and_language(name, text=""):
    layout = load_layout(name) if name != "12" else KEYBOARD_12
    language = LanguageModel(WORDS, layout.symbols)
    return Keyboard(layout, text, words=language), language


def of(keyboard, p, action, value=""):
    """Probability of the key with this action and value."""
    return sum(
        p[label]
        for label, key in zip(keyboard.layout.labels, keyboard.keys, strict=True)
        if (key.action, key.value) == (action, value)
    )


@pytest.mark.parametrize("name", [*names(), "12"])
@pytest.mark.parametrize("text", ["", "T", "THE", "THE ", "XQ", "OK.", "12"])
def test_it_is_a_distribution_over_the_keys(name, text):
    keyboard, language = keyboard_and_language(name, text)
    pages = [keyboard]
    pages += [
        keyboard.select(label)
        for label, key in zip(keyboard.layout.labels, keyboard.keys, strict=True)
        if key.action == "open"
    ]
    for page in pages:
        p = expect(page, language)
        assert tuple(p) == keyboard.layout.labels
        assert sum(p.values()) == pytest.approx(1.0)
        assert all(
            (p[label] == 0.0) if key.action == "none" else p[label] >= 0.0
            for label, key in zip(page.layout.labels, page.keys, strict=True)
        )


def test_symbols_and_words_share_what_the_language_says():
    keyboard, language = keyboard_and_language("en_40", "T")
    p, symbols = expect(keyboard, language), language.next_symbols("T")
    offered = {word: COMPLETED * language.probability("T", word) for word in ("THE", "TO", "THEN")}
    share = (1 - ERROR_RATE) / (1 + 2 * SELDOM)  # to clear and to speak come on top
    home = {k.value for k in keyboard.keys if k.action == "type"}
    digits = sum(q for s, q in symbols.items() if s not in home)
    assert of(keyboard, p, "complete", "THE") == pytest.approx(share * offered["THE"])
    by_h = symbols["H"] - offered["THE"] - offered["THEN"]
    assert of(keyboard, p, "type", "H") == pytest.approx(share * by_h)
    assert of(keyboard, p, "type", "E") == pytest.approx(share * symbols["E"])
    assert of(keyboard, p, "open", "123") == pytest.approx(share * digits)
    assert of(keyboard, p, "undo") == ERROR_RATE
    assert of(keyboard, p, "clear") == of(keyboard, p, "speak") == pytest.approx(share * SELDOM)


def test_a_group_is_worth_its_letters_and_then_they_share_it():
    keyboard, language = keyboard_and_language("12", "T")
    symbols = language.next_symbols("T")
    p = expect(keyboard, language)
    share = 1 - ERROR_RATE
    group = sum(symbols[s] for s in "BCDFGH")  # A, E and I are on the first page
    assert of(keyboard, p, "open", "A–I") == pytest.approx(share * group)
    opened = keyboard.select(keyboard.layout.labels[6])
    q = expect(opened, language)
    total = sum(symbols[s] for s in "ABCDEFGHI")
    assert of(opened, q, "type", "H") == pytest.approx(share * symbols["H"] / total)
    assert of(opened, q, "undo") == ERROR_RATE


def test_nothing_to_take_back_is_not_expected_to_be():
    keyboard, language = keyboard_and_language("en_40")
    p = expect(keyboard, language, error_rate=0.3)
    assert of(keyboard, p, "undo") == of(keyboard, p, "clear") == 0.0
    typed = keyboard.select(keyboard.targets_for("A")[0])
    assert of(typed, expect(typed, language, error_rate=0.3), "undo") == pytest.approx(0.3)


def test_who_writes_the_language_is_expected():
    """Along the way of a faultless user the wanted target has far more than its equal share."""
    keyboard, language = keyboard_and_language("en_40")
    phrase = "THEN THE TO AT"
    logs = []
    for label in keyboard.targets_for(phrase):
        logs.append(math.log(expect(keyboard, language)[label]))
        keyboard = keyboard.select(label)
    assert keyboard.text == phrase
    assert fragment(phrase) == "AT"
    assert sum(logs) / len(logs) > math.log(5 / 40)


def test_a_page_with_keys_that_are_seldom_wanted():
    keyboard, language = keyboard_and_language("en_12", "THE")
    symbols, p = language.next_symbols("THE"), expect(keyboard, language)
    signs = sum(symbols[s] for s in ".,?!'-:@&")
    share = (1 - ERROR_RATE) / (1 + 2 * SELDOM)
    assert of(keyboard, p, "open", "…") == pytest.approx(share * (signs + 2 * SELDOM))
    opened = keyboard.select(label := next(k for k in p if keyboard.key(k).value == "…"))
    q = expect(opened, language)
    assert label in q
    assert of(opened, q, "speak") == pytest.approx((1 - ERROR_RATE) * SELDOM / (signs + 2 * SELDOM))
