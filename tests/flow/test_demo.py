"""`bci demo`: what it writes, what it says, and what it never touches."""

import json
import re
import signal
import subprocess
import sys
from io import StringIO

import pytest
from rich.console import Console

from bci import config
from bci.demo import Demo
from bci.demo.folder import DemoFolder
from bci.errors import ConfigError, RecordingError
from bci.metrics import chance_bound
from bci.recording.verify import verify
from bci.replay import decisions
from bci.sources.files import load_recording

PHRASE = "HI"


def demo(out, *, width=80, phrase=PHRASE, snr=1.0, **options):
    said = StringIO()
    console = Console(file=said, width=width, highlight=False, color_system=None)
    story = Demo(phrase, snr=snr, seed=1, out=out, console=console, **options)
    return story, said


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """One run: the folder, the story, what was said."""
    story, said = demo(tmp_path_factory.mktemp("demo") / "out")
    story.run()
    return story.folder, story, said.getvalue()


def test_it_types_the_phrase(done):
    _, story, _ = done
    assert story.keyboard.text == PHRASE
    assert sum(s.right for s in story.selections) >= 3  # H opens a page first


def test_it_says_all_that_there_is_to_know(done):
    folder, story, said = done
    titles = [line for line in said.splitlines() if line and not line.startswith(" ")]
    assert [t.split("  ")[0] for t in titles] == [
        "Simulated subject", "Simulated calibration", "Simulated spelling", "Simulated result",
        "Next",
    ]  # fmt: skip
    one_line = " ".join(said.split())
    n, n_right = len(story.selections), sum(s.right for s in story.selections)
    for text in (
        "-10.6 dB of the ongoing EEG at Oz",
        f"{n_right} of {n} selections right: {n_right / n:.2f} [",
        "(95 %)",
        "better than chance (0.083), p < 0.001",
        "bit/min by Wolpaw's definition: "
        "60/T · [log2 M + P log2 P + (1−P) log2((1−P)/(M−1))] M = 12 targets",
        "gaze shift and feedback included",
        "ms median",
        "ms p99",
        "verified",
        f"bci replay {folder.xdf} --config {folder.config}",
        "bci demo --snr 0",
    ):
        assert text in one_line
    assert re.findall(r"(\S*)▏", said) == [*_typed(story)]


def _typed(story):
    """The text after each selection."""
    keyboard = type(story.keyboard)(story.keyboard.layout)
    for selection in story.selections:
        keyboard = keyboard.select(selection.label)
        yield keyboard.text


def test_its_recording_is_whole_and_without_a_note(done):
    folder, story, _ = done
    report = verify(folder.xdf)
    assert report.ok
    assert report.notes == []
    eeg = next(s for s in report.streams if s.type == "EEG")
    assert eeg.name == "simulated subject"
    assert eeg.n_samples == story.subject.position


def test_the_same_seed_gives_the_same_file_also_at_the_pace_of_life(done, tmp_path):
    """The second run is in real time, on a clock that only waiting moves on."""
    folder, _, _ = done
    waits = []
    story, _ = demo(
        tmp_path / "again", realtime=True, clock=lambda: 100.0 + sum(waits), sleep=waits.append
    )
    waits.append(0.0)
    story.run()
    assert story.folder.decisions.read_bytes() == folder.decisions.read_bytes()
    assert len(folder.decisions.read_bytes().splitlines()) == 24 + len(story.selections)
    lasted = story.subject.position / story.subject.sfreq
    assert sum(waits) == pytest.approx(lasted, abs=1e-6)
    assert 0 < max(waits) <= 0.02 + 1e-9  # never more than a chunk ahead


def test_a_replay_of_its_recording_gives_its_decisions(done):
    folder, _, _ = done
    session = config.load(folder.config)
    written = [json.loads(line) for line in folder.decisions.read_text().splitlines()]
    found = [d.to_json() for d in decisions(folder.xdf, load_recording(folder.xdf), session)]
    keys = ("seq", "first", "last", "label", "marker", "forced", "model", "quality")
    assert [[d[k] for k in keys] for d in found] == [[d[k] for k in keys] for d in written]
    for one, other in zip(found, written, strict=True):
        assert one["proba"] == pytest.approx(other["proba"], abs=1e-9)
    assert len({d["model"] for d in written}) == 2  # untrained, then trained


@pytest.mark.parametrize("width", [60, 80])
def test_lines_fit_the_terminal(done, tmp_path, width):
    _, story, _ = done
    again, said = demo(tmp_path, width=width)
    again.selections, again.keyboard = story.selections, story.keyboard
    again._introduce()
    again._summarise_selections()
    for number, selection in enumerate(story.selections):
        again._display.selection(number, selection, None, "A TEXT THAT HAS BECOME LONG " * 3)
    lines = said.getvalue().splitlines()
    assert max(map(len, lines)) <= width
    assert all(line.endswith("LONG ▏") for line in lines[-len(story.selections) :])
    assert all(line == line.rstrip() for line in lines)


def test_without_an_answer_it_falls_to_chance_and_says_so(tmp_path):
    story, said = demo(tmp_path, snr=0.0, phrase="HELP")
    story.run()
    n_right = sum(s.right for s in story.selections)
    assert len(story.selections) == 3 * 7  # then patience ends
    assert n_right < chance_bound(21, 12)
    one_line = " ".join(said.getvalue().split())
    assert "SSVEP none: this brain does not answer" in one_line
    assert "at chance (0.083), p = " in one_line
    assert "the brain did not answer" in one_line
    assert "Simulated result not finished" in one_line
    assert "instead of “HELP”" in one_line


def test_what_cannot_be_spelled_is_refused(tmp_path):
    for phrase, said in (("", "--phrase is empty"), ("Ä", "cannot type 'Ä'")):
        with pytest.raises(ConfigError, match=said):
            demo(tmp_path / "never", phrase=phrase)
    assert not (tmp_path / "never").exists()


# --- its folder ----------------------------------------------------------------------------------


def fill(folder):
    """Files as a demo leaves them."""
    model = folder.models / "fbcca-12345678"
    model.mkdir(parents=True)
    for path in (folder.xdf, folder.config, folder.events, folder.ledger, folder.decisions):
        path.write_text(path.name)
    (model / "manifest.json").write_text("{}")
    folder.claim()


def files(path):
    return {str(p.relative_to(path)) for p in path.rglob("*") if p.is_file()}


def test_an_earlier_demo_is_replaced(tmp_path):
    fill(DemoFolder(tmp_path))
    (tmp_path / "models" / "imagery").mkdir()
    for mine in ("notes.txt", "other_eeg.xdf", "models/imagery/manifest.json"):
        (tmp_path / mine).write_text("mine")
    DemoFolder(tmp_path).clear()
    assert files(tmp_path) == {
        "notes.txt", "other_eeg.xdf", "models/imagery/manifest.json", "demo_files.json",
    }  # fmt: skip


@pytest.mark.parametrize(
    "name", ["demo_decisions.jsonl", "demo_eeg.xdf", "models/fbcca-mine/a.bin"]
)
def test_a_file_of_somebody_else_stays(tmp_path, name):
    (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / name).write_text("mine")
    with pytest.raises(ConfigError, match="in the way") as caught:
        DemoFolder(tmp_path).clear()
    assert str(tmp_path / name) in str(caught.value)
    assert (tmp_path / name).read_text() == "mine"


def test_a_file_that_was_changed_since_stays(tmp_path):
    folder = DemoFolder(tmp_path)
    fill(folder)
    with folder.decisions.open("a") as file:
        file.write("and a line of mine")
    with pytest.raises(ConfigError, match="not as an earlier demo left it"):
        folder.clear()
    assert folder.decisions.read_text().endswith("mine")


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"schema": "bci.demo/1", "files": 3}'])
def test_a_list_that_is_none_deletes_nothing(tmp_path, text):
    folder = DemoFolder(tmp_path)
    fill(folder)
    (tmp_path / "demo_files.json").write_text(text)
    before = files(tmp_path)
    with pytest.raises(ConfigError, match="in the way"):
        folder.clear()
    assert files(tmp_path) == before


def test_a_folder_that_cannot_be_made_is_one_line(tmp_path):
    (tmp_path / "file").write_text("")
    for out in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(RecordingError, match="choose another folder with --out"):
            DemoFolder(out).clear()


def test_interrupted_it_leaves_a_whole_recording_that_the_next_demo_replaces(tmp_path):
    with subprocess.Popen(
        [sys.executable, "-u", "-m", "bci.cli", "demo", "--realtime", "--out", "here"],
        cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        # a shell starts background jobs, and so their children, with SIGINT ignored
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    ) as process:  # fmt: skip
        try:
            for line in process.stdout:
                if line.startswith("Simulated calibration"):
                    break
            process.send_signal(signal.SIGINT)
            _, err = process.communicate(timeout=60)
        finally:
            process.kill()
    assert process.returncode == 130
    assert "Traceback" not in err
    folder = DemoFolder(tmp_path / "here")
    assert verify(folder.xdf).ok
    folder.clear()
    assert files(tmp_path / "here") == {"demo_files.json"}


@pytest.mark.slow
def test_with_a_language_it_offers_words_and_expects_what_it_says(tmp_path):
    pytest.importorskip("wordfreq", reason="the extra 'language' is not installed")
    story, said = demo(tmp_path / "out", phrase="THE TEA", keyboard="en_12")
    story.run()
    assert story.keyboard.text == "THE TEA"
    captions = re.findall(r"Hz  (\S+) +(?:right|wrong)", said.getvalue())
    assert {"THE", "T"} <= set(captions)
    one_line = " ".join(said.getvalue().split())
    assert "'en': words are offered, and each selection has a prior" in one_line
    assert "bit/min by Wolpaw's definition, without the language's prior:" in one_line
    spelled = [s.decision for s in story.selections]
    assert any(d.prior for d in spelled)
    assert all(d.prior or d.forced for d in spelled)  # forced where the decoder knows nothing
    found = decisions(
        story.folder.xdf, load_recording(story.folder.xdf), config.load(story.folder.config)
    )
    again = [d for d in found if d.seq >= spelled[0].seq]
    assert [(d.first, d.label, d.prior) for d in again] == [
        (d.first, d.label, d.prior) for d in spelled
    ]


def test_a_keyboard_for_more_targets_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="there are targets for 4 rows of 3"):
        demo(tmp_path, keyboard="en_40")
