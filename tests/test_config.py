"""Configurations: every mistake gets one line that says where and what to do."""

import random
from pathlib import Path

import pytest
import yaml

from bci import config, registry
from bci.errors import ConfigError

FOLDER = Path(__file__).parent.parent / "configs"
CONFIGS = sorted(FOLDER.glob("*.yaml"))
GOOD = "source: {kind: lsl}\n"


def complaint(text):
    with pytest.raises(ConfigError) as caught:
        config.loads(text, "s.yaml")
    return str(caught.value)


@pytest.mark.parametrize("path", CONFIGS, ids=lambda p: p.stem)
def test_every_shipped_configuration_loads_and_survives_a_round_trip(path):
    loaded = config.load(path)
    assert config.loads(config.dump(loaded)) == loaded


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("sorce: {kind: lsl}\n", "s.yaml:1: unknown key 'sorce'; did you mean 'source'?"),
        (
            GOOD + "window:\n  kind: sliding\n  lenght_s: 2\n",
            "s.yaml:4: unknown key 'window.lenght_s'; did you mean 'length_s'?",
        ),
        ("source: {kind: lls}\n", "s.yaml:1: 'source': unknown source kind 'lls'; did you mean 'l"),
        (
            "source:\n  kind: lsl\n  nmae: x\n",
            "s.yaml:3: unknown key 'source.nmae'; did you mean 'name'?",
        ),
        (
            GOOD + "processing:\n  - {kind: notch}\n  - {kind: bandpass, low_hz: 1, hihg_hz: 40}\n",
            "s.yaml:4: unknown key 'processing.1.hihg_hz'; did you mean 'high_hz'?",
        ),
        (
            GOOD + "decision:\n  kind: threshold\n  treshold: 0.7\n",
            "s.yaml:4: unknown key 'decision.threshold.treshold'; did you mean 'threshold'?",
        ),
        (GOOD + "window:\n  length_s: long\n", "s.yaml:3: 'window.length_s': Input should be"),
        (GOOD + "window: {length_s: -1}\n", "s.yaml:2: 'window.length_s': Input should be greater"),
        (GOOD + "decision: {kind: dynamic}\n", "'dynamic' and 'growing' need each other"),
        (GOOD + "window: {kind: marker}\n", "opens at markers, but neither 'events' nor"),
        (GOOD + "events: {a: 1, b: 1}\n", "two labels of 'events' share one marker code"),
        (GOOD + "events: {go: on}\n", "s.yaml:2: 'events.go.int': Input should be a valid integer"),
        (GOOD + "window: {offset_s: 1e9}\n", "s.yaml:2: 'window.offset_s': Input should be less"),
        (GOOD + "window: {length_s: .nan}\n", "s.yaml:2: 'window.length_s'"),
        (GOOD + GOOD, "s.yaml:2: 'source' stands there twice"),
        (GOOD + "window:\n  hop_s: 1\n  hop_s: 2\n", "s.yaml:4: 'hop_s' stands there twice"),
        (GOOD + "outputs:\n  - {kind: jsonl, kind: lsl}\n", "s.yaml:3: 'kind' stands there twice"),
        (GOOD + "processing: &loop [*loop]\n", "s.yaml:2: 'processing.0': every stage needs a"),
        ("source: {kind: [\n", "s.yaml:2: not YAML"),
        ("\0", "s.yaml: not YAML: unacceptable character #x0000"),
        ("[" * 2000, "s.yaml: not YAML: maximum recursion depth"),
        ("just text\n", "expected keys such as 'source:', found str"),
        ("{}\n", "'source' is missing"),
        ("source: lsl\n", "every source needs a 'kind': one of "),
    ],
)  # fmt: skip
def test_a_mistake_is_named_with_its_line(text, said):
    assert said in complaint(text)


def test_a_missing_file_is_one_line():
    with pytest.raises(ConfigError, match=r"nowhere\.yaml: cannot be read"):
        config.load("nowhere.yaml")


def test_overrides_replace_settings():
    text = GOOD + "processing: [{kind: notch, freq_hz: 50}]\n"
    changed = config.loads(
        text, overrides=["window.hop_s=0.5", "processing.0.freq_hz=60", "participant.id=P9"]
    )
    assert changed.window.hop_s == 0.5
    assert changed.processing[0].model_dump()["freq_hz"] == 60
    assert changed.participant.id == "P9"
    for wrong in ("window.hop_s", "processing.7.freq_hz=1"):
        with pytest.raises(ConfigError, match="--set"):
            config.loads(text, overrides=[wrong])


def test_the_schema_knows_every_kind():
    schema = config.schema()
    text = yaml.safe_dump(schema)
    for family in registry.BUILT_IN:
        for kind in registry.kinds(family):
            assert f"const: {kind}\n" in text
    refs = {line.split("/")[-1].strip(" '") for line in text.splitlines() if "$ref" in line}
    assert refs <= set(schema["$defs"])


def test_every_kind_can_be_found():
    for family in registry.BUILT_IN:
        for kind in registry.kinds(family):
            assert registry.find(family, kind).model_fields["kind"].default == kind


def test_a_complaint_is_one_line_each_whatever_the_file_holds():
    rng = random.Random(0)
    texts = [path.read_text() for path in CONFIGS]
    for _ in range(150):
        data = yaml.safe_load(rng.choice(texts))
        spoil(data, rng)
        said = ""
        try:
            config.loads(yaml.safe_dump(data), "s.yaml")
        except ConfigError as error:
            said = str(error)
        assert all(line.startswith("s.yaml:") for line in said.splitlines())


def spoil(data, rng):
    """Put nonsense at a random place."""
    while True:
        keys = list(data) if isinstance(data, dict) else list(range(len(data)))
        key = rng.choice(keys)
        inside = data[key]
        if not isinstance(inside, dict | list) or not inside or rng.random() < 0.4:
            data[key] = rng.choice(
                [None, -1, 1e300, "x", [], {}, [None], {"kind": 5}, {1: 2}, True]
            )
            return
        data = inside
