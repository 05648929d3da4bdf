"""Keyboards: everything can be typed, and every mistake can be mended."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bci.errors import ConfigError
from bci.paradigms.keyboard import (
    KEYBOARD_12,
    KEYBOARD_40,
    UNDO,
    Key,
    Keyboard,
    KeyboardLayout,
)
from bci.paradigms.speller import TARGETS_12, TARGETS_40

LAYOUTS = [KEYBOARD_12, KEYBOARD_40]
by_layout = pytest.mark.parametrize("layout", LAYOUTS, ids=["12", "40"])


def typed(keyboard, labels):
    for label in labels:
        keyboard = keyboard.select(label)
    return keyboard


@by_layout
def test_every_symbol_can_be_typed(layout):
    assert set("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789 .,") <= layout.symbols
    for symbol in layout.symbols:
        labels = Keyboard(layout).targets_for(symbol)
        assert len(labels) <= 2
        assert typed(Keyboard(layout), labels) == Keyboard(layout, symbol)


@pytest.mark.parametrize(
    ("layout", "targets"), [(KEYBOARD_12, TARGETS_12), (KEYBOARD_40, TARGETS_40)]
)
def test_keys_are_the_targets_in_reading_order(layout, targets):
    assert layout.labels == tuple(t.label for t in targets)
    assert [(t.row, t.column) for t in targets] == sorted((t.row, t.column) for t in targets)


@settings(deadline=None, max_examples=50)
@given(data=st.data(), layout=st.sampled_from(LAYOUTS))
def test_after_any_selections_the_phrase_is_reached(data, layout):
    wrong = data.draw(st.lists(st.sampled_from(layout.labels), max_size=25))
    phrase = data.draw(st.text(st.sampled_from(sorted(layout.symbols)), max_size=15))
    keyboard = typed(Keyboard(layout), wrong)
    assert typed(keyboard, keyboard.targets_for(phrase)).text == phrase


@settings(deadline=None, max_examples=50)
@given(data=st.data(), layout=st.sampled_from(LAYOUTS))
def test_a_user_who_is_misunderstood_still_gets_there(data, layout):
    phrase = data.draw(st.text(st.sampled_from(sorted(layout.symbols)), min_size=1, max_size=6))
    keyboard = Keyboard(layout)
    for other in data.draw(st.lists(st.none() | st.sampled_from(layout.labels), max_size=30)):
        wanted = keyboard.targets_for(phrase)
        if not wanted:
            break
        keyboard = keyboard.select(other or wanted[0])
    assert typed(keyboard, keyboard.targets_for(phrase)).text == phrase


def test_what_a_phrase_costs():
    assert len(Keyboard(KEYBOARD_12).targets_for("HELLO BCI")) == 14
    assert len(Keyboard(KEYBOARD_40).targets_for("HELLO BCI")) == 9
    assert Keyboard(KEYBOARD_12).targets_for("") == ()


def test_one_mistake_costs_one_undo_and_the_way_again():
    start = Keyboard(KEYBOARD_12)
    way = start.targets_for("H")  # a page, then the letter
    wrong_page = start.select(start.targets_for("S")[0])
    assert len(wrong_page.targets_for("H")) == 1 + len(way)
    wrong_letter = typed(start, start.targets_for("E"))
    assert len(wrong_letter.targets_for("H")) == 1 + len(way)
    right_page = start.select(way[0])
    assert right_page.targets_for("H") == way[1:]


def test_undo_closes_a_page_before_it_deletes():
    keyboard = typed(Keyboard(KEYBOARD_12), Keyboard(KEYBOARD_12).targets_for("HI"))
    opened = keyboard.select(KEYBOARD_12.labels[6])
    assert opened.page == "A–I"
    assert opened.undo() == keyboard
    assert keyboard.undo().text == "H"
    assert Keyboard(KEYBOARD_12).undo() == Keyboard(KEYBOARD_12)


def test_an_empty_key_does_nothing():
    keyboard = Keyboard(KEYBOARD_12, "A", "S–Z")
    blank = KEYBOARD_12.labels[9]
    assert keyboard.key(blank).action == "none"
    assert keyboard.select(blank) == keyboard


def test_small_letters_are_typed_as_capitals():
    keyboard = Keyboard(KEYBOARD_40)
    assert typed(keyboard, keyboard.targets_for("bci")).text == "BCI"


def test_what_cannot_be_typed_is_said():
    with pytest.raises(ConfigError, match=r"cannot type '~', 'Ü' of 'ü~a'; it has: .*ABC"):
        Keyboard(KEYBOARD_40).targets_for("ü~a")
    with pytest.raises(ValueError, match="no target '99 Hz'"):
        Keyboard(KEYBOARD_40).select("99 Hz")


def test_a_layout_without_undo_or_with_a_lost_page_is_refused():
    a = Key("type", "A", "A")
    with pytest.raises(ValueError, match="among them an undo"):
        KeyboardLayout(("1", "2"), {"home": (a, a)})
    with pytest.raises(ValueError, match="not every page"):
        KeyboardLayout(("1", "2"), {"home": (a, UNDO), "lost": (a, UNDO)})
