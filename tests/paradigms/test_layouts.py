"""Keyboards from files: those of the package, and what is said about mistakes."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bci.errors import ConfigError
from bci.paradigms.keyboard import CLEAR, NOTHING, UNDO, WORD, Keyboard, fragment
from bci.paradigms.layouts import load_layout, names
from bci.paradigms.speller import TARGETS_12, TARGETS_40, jfpm_grid

LAYOUTS = {name: load_layout(name) for name in names()}
by_name = pytest.mark.parametrize("name", LAYOUTS)


class Words:
    """Offers the words of a list that begin as the text ends."""

    LIST = ("HELLO", "HELP", "THERE", "THE", "AT", "A")

    def complete(self, text, n):
        begun = fragment(text)
        return tuple(w for w in self.LIST if w.startswith(begun) and w != begun)[:n]


def typed(keyboard, labels):
    for label in labels:
        keyboard = keyboard.select(label)
    return keyboard


def label_of(keyboard, action, value=""):
    return next(
        label
        for label, key in zip(keyboard.layout.labels, keyboard.keys, strict=True)
        if (key.action, key.value) == (action, value)
    )


# --- those of the package ------------------------------------------------------------------------


def test_there_are_keyboards_for_several_languages():
    assert {"en_12", "en_40", "de_40", "fr_40"} <= set(LAYOUTS)
    assert LAYOUTS["en_12"].labels == tuple(t.label for t in TARGETS_12)
    assert LAYOUTS["en_40"].labels == tuple(t.label for t in TARGETS_40)
    assert {name: layout.language for name, layout in LAYOUTS.items()} == {
        name: name[:2] for name in LAYOUTS
    }
    assert set("ÄÖÜ") <= LAYOUTS["de_40"].symbols
    assert set("ÉÈÀÇÊ'") <= LAYOUTS["fr_40"].symbols


@by_name
def test_letters_digits_and_signs_can_be_typed(name):
    layout = LAYOUTS[name]
    assert set("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789 .,?!-") <= layout.symbols
    for symbol in layout.symbols:
        labels = Keyboard(layout).targets_for(symbol)
        assert len(labels) <= 2
        assert typed(Keyboard(layout), labels) == Keyboard(layout, symbol)


@by_name
def test_there_is_one_key_to_clear_one_to_speak_and_some_for_words(name):
    pages = LAYOUTS[name].pages
    actions = [key.action for keys in pages.values() for key in keys]
    assert (actions.count("clear"), actions.count("speak")) == (1, 1)
    assert 2 <= pages["home"].count(WORD) <= 4
    assert all(keys.count(UNDO) == 1 for keys in pages.values())


@settings(deadline=None, max_examples=50)
@given(data=st.data(), name=st.sampled_from(sorted(LAYOUTS)), helped=st.booleans())
def test_after_any_selections_the_phrase_is_reached(data, name, helped):
    layout = LAYOUTS[name]
    wrong = data.draw(st.lists(st.sampled_from(layout.labels), max_size=25))
    phrase = data.draw(st.text(st.sampled_from(sorted(layout.symbols)), max_size=15))
    keyboard = typed(Keyboard(layout, words=Words() if helped else None), wrong)
    assert typed(keyboard, keyboard.targets_for(phrase)).text == phrase


# --- words, clear, undo --------------------------------------------------------------------------


def test_word_keys_show_what_the_text_may_go_on_with():
    keyboard = Keyboard(LAYOUTS["en_12"], "HE", words=Words())
    assert [key.caption for key in keyboard.keys[:3]] == ["HELLO", "HELP", "⌫"]
    assert keyboard.key(keyboard.layout.labels[1]).value == "HELP"
    chosen = keyboard.select(keyboard.layout.labels[0])
    assert chosen.text == "HELLO "
    assert [key.caption for key in chosen.keys[:2]] == ["HELLO", "HELP"]
    assert chosen.undo() == keyboard  # the word as a whole
    alone = Keyboard(LAYOUTS["en_12"], "XX", words=Words())
    assert alone.keys[:2] == (NOTHING, NOTHING)
    assert alone.select(alone.layout.labels[0]) == alone
    assert Keyboard(LAYOUTS["en_12"], "HE").keys[:2] == (NOTHING, NOTHING)


def test_words_save_selections():
    helped = Keyboard(LAYOUTS["en_40"], words=Words())
    alone = Keyboard(LAYOUTS["en_40"])
    phrase = "HELLO THERE A"
    assert len(alone.targets_for(phrase)) == 13
    assert len(helped.targets_for(phrase)) == 1 + 1 + 1  # HELLO␣, THERE␣, A
    assert typed(helped, helped.targets_for(phrase)).text == phrase


def test_what_is_cleared_comes_back():
    keyboard = Keyboard(LAYOUTS["en_40"], "HELLO", words=Words())
    cleared = keyboard.select(label_of(keyboard, "clear"))
    assert cleared.text == ""
    assert cleared.undo() == keyboard
    assert cleared.targets_for("HELLO A")[:2] == (
        label_of(cleared, "undo"),
        label_of(keyboard, "type", " "),
    )
    assert Keyboard(LAYOUTS["en_40"]).clear() == Keyboard(LAYOUTS["en_40"])


def test_undo_goes_back_step_by_step():
    start = Keyboard(LAYOUTS["en_40"], "H", words=Words())
    steps = [start]
    for action, value in [
        ("complete", "HELLO"), ("type", "A"), ("complete", "AT"), ("clear", ""), ("type", "B")
    ]:  # fmt: skip
        steps.append(steps[-1].select(label_of(steps[-1], action, value)))
    assert [s.text for s in steps] == ["H", "HELLO ", "HELLO A", "HELLO AT ", "", "B"]
    keyboard = steps.pop()
    for step in reversed(steps):
        keyboard = keyboard.undo()
        assert keyboard == step


def test_to_speak_leaves_the_text_as_it_is():
    keyboard = Keyboard(LAYOUTS["en_40"], "HELLO")
    assert keyboard.select(label_of(keyboard, "speak")) == keyboard
    opened = Keyboard(LAYOUTS["en_12"], "HELLO", "…")
    assert opened.select(label_of(opened, "speak")) == Keyboard(LAYOUTS["en_12"], "HELLO")


# --- other files ---------------------------------------------------------------------------------

GOOD = """\
language: it
pages:
  home:
    - [A, 'È', 7, space]
    - [{open: more}, none, word, undo]
  more:
    - [B, undo]
"""


@pytest.fixture
def written(tmp_path):
    def write(text):
        path = tmp_path / "mine.yaml"
        path.write_text(text, encoding="utf-8")
        return path

    return write


def test_a_keyboard_of_ones_own_on_targets_of_ones_own(written):
    targets = jfpm_grid(2, 4, 8.0, 0.5, 0.5)
    layout = load_layout(written(GOOD), targets)
    assert layout.labels == tuple(t.label for t in targets)
    assert layout.symbols == set("AÈ7 B")
    assert layout.pages["more"] == (
        layout.pages["more"][0], UNDO, *[NOTHING] * 6
    )  # fmt: skip
    assert layout.language == "it"
    assert len(load_layout(written(GOOD)).labels) == 40  # four columns: more than twelve have


def changed(old, new):
    assert old in GOOD
    return GOOD.replace(old, new)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (changed("[A, 'È', 7, space]", "[A, A, 7, space]"), "mine.yaml:3: page 'home' has 'A' twi"),
        (changed("'È'", "è"), "mine.yaml:4: .*keyboards write capitals: 'È' instead of 'è'"),
        (changed("space", "spcae"), "'spcae' is neither one symbol.*did you mean 'space'"),
        (changed("7", "77"), "a key is one symbol in quotes, .*found 77"),
        (changed("7", "true"), "a key is one symbol in quotes, .*found True"),
        (changed("[B, undo]", "[B]"), "mine.yaml:6: page 'more' has no 'undo'"),
        (changed("word, undo", "word, none"), "page 'home' has no 'undo'"),
        (changed("{open: more}", "none"), "page 'more' cannot be reached: 'home' does not open"),
        (changed("open: more", "open: most"), "page 'home' opens 'most', which is no page"),
        (changed("[B, undo]", "[{open: home}, undo]"), "page 'more' opens another; only 'home'"),
        (changed("home:", "first:"), "page 'first' is not the first one: 'home' is missing"),
        (changed("  more:", "  home:"), "mine.yaml:6: 'home' stands there twice"),
        (changed("7, space]", "7, space, 1, 2, 3, 4, 5]"), "has 2 rows of up to 9 keys; there are"),
        (changed("    - [B, undo]", "    - [B, undo]\n" * 6), "has 6 rows of up to 2 keys; there"),
        (changed("language", "langauge"), "mine.yaml:1: unknown key 'langauge'; did you mean 'lan"),
        ("language: it\n", "'pages' is missing"),
        ("- 3\n", "mine.yaml:1: Input should be a valid dictionary"),
        ("pages: {home: [[A}", "mine.yaml:1: not YAML"),
    ],
)
def test_mistakes_are_told_with_their_line(written, text, says):
    with pytest.raises(ConfigError, match=says):
        load_layout(written(text))


def test_keyboards_that_are_not_there(tmp_path):
    with pytest.raises(ConfigError, match="there is no keyboard 'en_4'; did you mean 'en_40'"):
        load_layout("en_4")
    with pytest.raises(ConfigError, match=r"none\.yaml: cannot be read"):
        load_layout(tmp_path / "none.yaml")


def test_clear_is_no_symbol():
    assert CLEAR.value == ""
    assert not any(len(s) != 1 for layout in LAYOUTS.values() for s in layout.symbols)
