"""A session is one YAML file.

`load` reads and checks it; every error names the line and, for an unknown key,
the nearest known one. The settings of sources, stages, decoders and outputs
live beside their code and are found through `bci.registry`; what concerns the
whole session is here.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, TypeVar, get_args

import yaml
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SerializeAsAny,
    ValidationError,
    model_validator,
)

from bci import registry
from bci.errors import ConfigError

S = TypeVar("S", bound="Settings")


class Settings(BaseModel):
    """Frozen settings; an unknown key is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    #: Family in `bci.registry`, set by the family's base class below.
    family: ClassVar[registry.Family | None] = None


class SourceSettings(Settings):
    """Base of the settings of a source; `build()` returns a `bci.sources.Source`."""

    family: ClassVar[registry.Family | None] = "source"
    kind: str

    def build(self) -> Any:
        """Make a `bci.sources.Source`."""
        raise TypeError(f"{type(self).__name__} does not say how to build its source")


class StageSettings(Settings):
    """Base of the settings of a processing stage; `build()` returns a `bci.dsp.Stage`."""

    family: ClassVar[registry.Family | None] = "stage"
    #: Whether it alters samples to mend them: `bci train` then asks whether that helps.
    mends: ClassVar[bool] = False
    #: Settings that change nothing about the signal: a model does not depend on them.
    handling: ClassVar[frozenset[str]] = frozenset({"budget", "keep"})

    kind: str
    budget: float | None = Field(
        None,
        gt=0,
        description="share of real time that it may take, by-passed beyond; null: any",
    )
    keep: bool = Field(
        False, description="where it mends: stays in use also if training shows no gain by it"
    )

    def build(self) -> Any:
        """Make a `bci.dsp.Stage`."""
        raise TypeError(f"{type(self).__name__} does not say how to build its stage")


class DecoderSettings(Settings):
    """Base of the settings of a decoder; `build(info)` returns a `bci.decoders.Decoder`.

    `info` is the `StreamInfo` after processing.
    """

    family: ClassVar[registry.Family | None] = "decoder"
    kind: str

    def build(self, info: Any) -> Any:
        """Make a `bci.decoders.Decoder`."""
        raise TypeError(f"{type(self).__name__} does not say how to build its decoder")


class OutputSettings(Settings):
    """Base of the settings of an output; `build()` returns a `bci.outputs.Output`."""

    family: ClassVar[registry.Family | None] = "output"
    kind: str

    def build(self) -> Any:
        """Make a `bci.outputs.Output`."""
        raise TypeError(f"{type(self).__name__} does not say how to build its output")


def _part(family: registry.Family) -> Any:
    """A validator that turns ``{kind: …, …}`` into the settings class of that kind."""

    def resolve(value: Any) -> Any:
        if isinstance(value, Settings):
            return value
        if not isinstance(value, Mapping) or "kind" not in value:
            raise ValueError(
                f"every {family} needs a 'kind': one of {', '.join(registry.kinds(family))}"
            )
        cls = registry.find(family, str(value["kind"]))
        if cls is None:
            raise ValueError(
                f"unknown {family} kind '{value['kind']}'"
                f"{did_you_mean(str(value['kind']), registry.kinds(family))}"
            )
        return cls.model_validate(value)

    return BeforeValidator(resolve)


class Channels(Settings):
    """Which channels are used, under which names."""

    rename: dict[str, str] = Field({}, description="device label: label to use")
    pick: Literal["eeg", "all"] | list[str] = Field("eeg", description="a type, or labels in order")
    types: dict[str, Literal["eeg", "eog", "emg", "ecg", "stim", "misc"]] = Field(
        {}, description="label: channel type, where the stream's own is wrong"
    )
    montage: str | None = Field(
        "standard_1005", description="MNE montage for positions; null: none"
    )
    missing: Literal["error", "interpolate"] = Field(
        "error", description="what to do when a picked channel is not in the stream"
    )
    sfreq: float | None = Field(None, gt=0, description="expected sampling rate, Hz; null: any")
    sfreq_mismatch: Literal["error", "resample"] = "error"


class MarkerSettings(Settings):
    """Where event markers come from."""

    kind: Literal["source", "lsl", "channel", "none"] = Field(
        "source", description="with the samples, from an LSL stream, or from a trigger channel"
    )
    name: str | None = Field(None, description="name of the LSL marker stream; null: any")
    type: str = Field("Markers", description="type of the LSL marker stream")
    channel: str | None = Field(None, description="label of the trigger channel")
    offset_s: float = Field(0.0, description="seconds to add to every marker's time")


class Participant(Settings):
    """Who is recorded: a pseudonym, never a name."""

    id: str = Field("P001", pattern=r"^[A-Za-z0-9]+$")
    session: int = Field(1, ge=1)


class WindowSettings(Settings):
    """What is cut from the processed stream for the decoder.

    sliding: every `hop_s`, on absolute sample indices. marker: one window per
    marker. growing: from each marker on, longer by `hop_s`, until decided.
    """

    kind: Literal["sliding", "marker", "growing"] = "sliding"
    length_s: float = Field(1.0, gt=0, le=60, description="(longest) window length, seconds")
    hop_s: float = Field(0.1, gt=0, le=60, description="step between windows, seconds")
    offset_s: float = Field(0.0, ge=-60, le=60, description="start after the marker, seconds")
    min_s: float = Field(0.5, gt=0, le=60, description="shortest growing window, seconds")
    markers: list[str] | None = Field(
        None, description="marker values that open a window; null: every mapped event"
    )


class EachDecision(Settings):
    """Every window gives a decision."""

    kind: Literal["each"] = "each"


class ThresholdDecision(Settings):
    """A label is given when its smoothed probability stays above a threshold."""

    kind: Literal["threshold"] = "threshold"
    smoothing: int = Field(1, ge=1, le=1000, description="windows averaged")
    threshold: float = Field(0.8, gt=0, le=1, description="probability to pass")
    dwell: int = Field(1, ge=1, le=1000, description="consecutive windows above the threshold")
    refractory_s: float = Field(1.0, ge=0, description="seconds of silence after a decision")


class ControlDecision(Settings):
    """Continuous control: every window is answered, and now and then with a command.

    A command is the label whose smoothed probability has stayed above the threshold for
    the dwell time, while the refractory time after the last command is over. Idle labels
    are never commands. A window without a command has no label; its reasons say why.
    """

    kind: Literal["control"] = "control"
    smoothing: int = Field(5, ge=1, le=1000, description="windows averaged")
    threshold: float = Field(0.7, gt=0, le=1, description="probability to pass")
    dwell_s: float = Field(0.5, ge=0, le=60, description="seconds above the threshold")
    refractory_s: float = Field(2.0, ge=0, le=600, description="seconds without another command")
    idle: tuple[str, ...] = Field((), description="labels that ask for nothing")


class DynamicDecision(Settings):
    """A trial of growing windows ends as soon as the error to expect is the target.

    By the stopping rule that `bci train` calibrated, where the model has one for
    this target; else by the posterior alone.
    """

    kind: Literal["dynamic"] = "dynamic"
    target_error: float = Field(0.05, gt=0, lt=1, description="accepted probability of error")
    at_longest: Literal["force", "abstain"] = Field(
        "force", description="what to do when the longest window is reached undecided"
    )


class QualityRules(Settings):
    """When a window is not decided on."""

    max_bad_fraction: float = Field(
        0.0, ge=0, le=1, description="share of samples under a rejecting flag that is tolerated"
    )
    max_bad_channels: int | None = Field(
        None, ge=0, description="bad channels that are tolerated; null: any number"
    )
    max_repaired_fraction: float = Field(
        1.0, ge=0, le=1, description="share of samples mended by a stage that is tolerated"
    )


class Recording(Settings):
    """Where sessions are recorded."""

    root: Path = Path("recordings")
    task: str = Field("bci", pattern=r"^[A-Za-z0-9]+$")
    format: Literal["xdf"] = "xdf"


class Api(Settings):
    """The engine's HTTP and WebSocket server."""

    host: str = "127.0.0.1"
    port: int = Field(8765, ge=0, le=65535, description="0: any free port")
    token: str | None = Field(
        None, min_length=16, description="null: a new one each start, written beside the recording"
    )
    origins: list[str] = Field(
        [], description="web origins, besides the server's own, that may use it from a browser"
    )


SourcePart = Annotated[SerializeAsAny[SourceSettings], _part("source")]
StagePart = Annotated[SerializeAsAny[StageSettings], _part("stage")]
DecoderPart = Annotated[SerializeAsAny[DecoderSettings], _part("decoder")]
OutputPart = Annotated[SerializeAsAny[OutputSettings], _part("output")]
DecisionPart = Annotated[
    EachDecision | ThresholdDecision | ControlDecision | DynamicDecision,
    Field(discriminator="kind"),
]


def _or_kind(schema: dict[str, Any]) -> None:
    """Let an editor accept a kind alone in place of a decoder's settings."""
    schema["items"] = {"anyOf": [{"type": "string"}, schema["items"]]}


class LadderSettings(Settings):
    """Decoders that may take over from `decoder` once they are credibly better.

    A rung named by its kind alone takes the settings that it shares with `decoder`.
    """

    rungs: tuple[DecoderPart, ...] = Field(
        min_length=1,
        description="kinds (or settings) of decoders, the simplest first",
        json_schema_extra=_or_kind,
    )
    alpha: float = Field(
        0.05, gt=0, lt=1, description="probability of any hand-over by chance in a session"
    )


class ScreenSettings(Settings):
    """How the targets of a speller flicker; chosen for a screen, by whoever shows them."""

    flicker: Literal["sampled", "locked"] = Field(
        "sampled",
        description="sinusoids sampled at each frame, of any frequency, or whole frames on and off",
    )
    refresh_hz: float | None = Field(
        None, gt=0, description="of the screen that they were planned for; locked flicker needs it"
    )

    @model_validator(mode="after")
    def _known(self) -> ScreenSettings:
        if self.flicker == "locked" and self.refresh_hz is None:
            raise ValueError(
                "locked flicker is whole frames of a screen: say its rate under 'refresh_hz'"
            )
        return self


class GrazSettings(Settings):
    """A Graz-style imagery session: calibration runs, training, feedback runs.

    Its markers come from whatever shows it: the simulated subject plays the timetable
    itself, a stimulus program sends them like any others. When the last calibration run
    has ended, the decoder is trained on all of them.
    """

    kind: Literal["graz"] = "graz"
    labels: tuple[str, ...] = Field(
        ("left", "right"),
        min_length=1,
        description="movements to imagine; the simulated subject knows left and right only",
    )
    idle: str | None = Field("rest", description="cued as the others, asks for nothing; null: none")
    calibration_runs: int = Field(3, ge=0, le=100, description="runs without feedback, first")
    feedback_runs: int = Field(2, ge=0, le=100, description="runs with feedback")
    trials_per_label: int = Field(10, ge=1, le=1000, description="in one run")
    fixation_s: float = Field(3.0, ge=0, le=60, description="from the cross to the cue, seconds")
    beep_s: float = Field(2.0, ge=0, le=60, description="from the cross to the beep, seconds")
    imagery_s: float = Field(4.0, gt=0, le=60, description="from the cue to the end, seconds")
    feedback_delay_s: float = Field(0.5, ge=0, le=60, description="from cue to bar, seconds")
    pause_s: tuple[float, float] = Field(
        (1.0, 2.0), description="shortest and longest pause after a trial, seconds"
    )
    rest_s: float = Field(30.0, ge=0, le=3600, description="between two runs, seconds")
    seed: int = Field(0, ge=0, description="of the order of cues and of the pauses")

    @property
    def asked(self) -> tuple[str, ...]:
        """All labels that are cued."""
        return self.labels if self.idle is None else (*self.labels, self.idle)

    @property
    def n_runs(self) -> int:
        """All runs, without and with feedback."""
        return self.calibration_runs + self.feedback_runs

    @property
    def run_length(self) -> int:
        """Trials in one run."""
        return len(self.asked) * self.trials_per_label

    @model_validator(mode="after")
    def _in_order(self) -> GrazSettings:
        if len(set(self.asked)) < len(self.asked) or len(self.asked) < 2:
            raise ValueError(
                "the labels of a paradigm, the idle one among them, must be two or more different "
                f"ones; found {', '.join(self.asked)}"
            )
        if not self.calibration_runs + self.feedback_runs:
            raise ValueError("a paradigm needs a run: 'calibration_runs' or 'feedback_runs'")
        low, high = self.pause_s
        if not 0 <= low <= high:
            raise ValueError(f"'pause_s' is a shortest and a longest pause; found {low}, {high}")
        if self.beep_s > self.fixation_s or self.feedback_delay_s >= self.imagery_s:
            raise ValueError(
                "the beep comes before the cue ('beep_s' up to 'fixation_s'), and the bar before "
                "the end of imagery ('feedback_delay_s' below 'imagery_s')"
            )
        return self


#: Strict: a bare ``on`` or ``yes`` is a truth value in YAML, not the code 1.
MarkerCode = Annotated[int, Field(strict=True)] | str

#: Where in a session parts of each family stand.
_FAMILIES: dict[str, registry.Family] = {
    "source": "source",
    "processing": "stage",
    "decoder": "decoder",
    "outputs": "output",
}


class Config(Settings):
    """A whole session."""

    source: SourcePart
    channels: Channels = Channels()
    markers: MarkerSettings = MarkerSettings()
    events: dict[str, MarkerCode] = Field({}, description="label: marker code or string")
    participant: Participant = Participant()
    processing: tuple[StagePart, ...] = ()
    window: WindowSettings = WindowSettings()
    decoder: DecoderPart | None = None
    ladder: LadderSettings | None = None
    paradigm: GrazSettings | None = None
    screen: ScreenSettings = ScreenSettings()
    quality: QualityRules = QualityRules()
    decision: DecisionPart = EachDecision()
    outputs: tuple[OutputPart, ...] = ()
    recording: Recording | None = None
    api: Api | None = None

    @model_validator(mode="before")
    @classmethod
    def _rungs_by_kind(cls, data: Any) -> Any:
        """Give a rung that is named by its kind alone the settings that `decoder` has for it."""
        ladder = data.get("ladder") if isinstance(data, Mapping) else None
        if not isinstance(ladder, Mapping) or not isinstance(ladder.get("rungs"), (list, tuple)):
            return data
        decoder = data.get("decoder")
        if isinstance(decoder, Settings):
            decoder = decoder.model_dump(exclude_unset=True)
        given = decoder if isinstance(decoder, Mapping) else {}
        parts = [_rung(r, given) if isinstance(r, str) else r for r in ladder["rungs"]]
        return {**data, "ladder": {**ladder, "rungs": parts}}

    @model_validator(mode="after")
    def _ladder_stands(self) -> Config:
        if self.ladder is None:
            return self
        if self.decoder is None or self.decoder.kind == "model":
            raise ValueError("a 'ladder' starts on a 'decoder' of another kind than 'model'")
        kinds = [self.decoder.kind, *(rung.kind for rung in self.ladder.rungs)]
        if len(set(kinds)) < len(kinds) or "model" in kinds:
            raise ValueError(
                "the rungs of a 'ladder', 'decoder' among them, must be of different kinds, none "
                f"of them 'model'; found {', '.join(kinds)}"
            )
        if self.window.kind == "sliding":
            raise ValueError("a 'ladder' needs selections: window kind 'marker' or 'growing'")
        if self.recording is None:
            raise ValueError("a 'ladder' learns from the session's recording: add 'recording'")
        return self

    @model_validator(mode="after")
    def _paradigm_stands(self) -> Config:
        graz = self.paradigm
        if graz is None:
            return self
        if self.recording is None:
            raise ValueError("a 'paradigm' is trained and judged from its recording: add it")
        if graz.calibration_runs and (self.decoder is None or self.decoder.kind == "model"):
            raise ValueError(
                "a 'paradigm' with calibration runs trains a 'decoder' of another kind than "
                "'model'; for a trained one set paradigm.calibration_runs to 0"
            )
        if getattr(self.source, "paradigm", "imagery") != "imagery":
            raise ValueError(
                "the simulated subject of a 'paradigm' imagines movements: set source.paradigm to "
                "'imagery'"
            )
        if self.ladder is not None or self.window.kind != "sliding":
            raise ValueError("a 'paradigm' needs window kind 'sliding', and no 'ladder'")
        wanted = {label: f"cue/{label}" for label in graz.asked}
        if {label: str(code) for label, code in self.events.items()} != wanted:
            told = ", ".join(f"{label}: {cue}" for label, cue in wanted.items())
            raise ValueError(f"'events' must be those of the 'paradigm': {{{told}}}")
        if isinstance(self.decision, ControlDecision) and graz.idle not in (
            None, *self.decision.idle
        ):  # fmt: skip
            raise ValueError(
                f"'{graz.idle}' asks for nothing, and would be a command: set decision.idle to "
                f"[{graz.idle}]"
            )
        return self

    @model_validator(mode="after")
    def _fits_together(self) -> Config:
        if (self.decision.kind == "dynamic") != (self.window.kind == "growing"):
            raise ValueError(
                f"decision kind '{self.decision.kind}' does not go with window kind "
                f"'{self.window.kind}': 'dynamic' and 'growing' need each other"
            )
        if self.window.kind != "sliding" and not (self.events or self.window.markers):
            raise ValueError(
                f"window kind '{self.window.kind}' opens at markers, but neither 'events' nor "
                "'window.markers' names one"
            )
        if self.window.kind == "growing" and self.window.min_s > self.window.length_s:
            raise ValueError(
                f"window.min_s is {self.window.min_s} s, longer than window.length_s, "
                f"{self.window.length_s} s"
            )
        if isinstance(self.decision, ControlDecision) and self.events:
            unknown = [label for label in self.decision.idle if label not in self.events]
            if unknown:
                raise ValueError(
                    f"decision.idle names '{unknown[0]}', which is no label of 'events': "
                    f"{', '.join(self.events)}"
                )
        codes = [str(code) for code in self.events.values()]
        if len(set(codes)) < len(codes):
            raise ValueError(f"two labels of 'events' share one marker code: {', '.join(codes)}")
        return self

    @property
    def labels(self) -> dict[str, str]:
        """Marker value: label."""
        return {str(code): label for label, code in self.events.items()}


def _rung(kind: str, decoder: Mapping[str, Any]) -> dict[str, Any]:
    cls = registry.find("decoder", kind)
    fields = set() if cls is None else set(cls.model_fields)
    shared = {key: value for key, value in decoder.items() if key in fields}
    return {**shared, "kind": kind}


def load(path: str | Path, overrides: Iterable[str] = ()) -> Config:
    """Read a session's YAML.

    Parameters
    ----------
    path : path
    overrides : iterable of str
        ``key.key=value`` settings that replace those of the file; values are YAML,
        and a number as key counts into a list.

    Raises
    ------
    ConfigError
        The file is missing, is no YAML, or does not describe a session; the
        message has one line per mistake: file, line, key, what to do.
    """
    return loads(_text(path), str(path), overrides)


def _text(path: str | Path) -> str:
    try:
        return Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read: {error}") from error


def load_as(cls: type[S], path: str | Path, overrides: Iterable[str] = ()) -> S:
    """Read the YAML of something else than a session; as `load`, mistakes included."""
    name = str(path)
    node, data = parse_yaml(_text(path), name)
    if not isinstance(data, dict):
        key = next(iter(cls.model_fields))
        raise ConfigError(f"{name}: expected keys such as '{key}:', found {type(data).__name__}")
    for override in overrides:
        _override(data, override)
    if errors := _errors(cls, data):
        raise ConfigError(
            "\n".join(f"{name}:{line_of(node, e['loc'])}: {explain(e, (), cls)}" for e in errors)
        )
    return cls.model_validate(data)


def loads(text: str, name: str = "configuration", overrides: Iterable[str] = ()) -> Config:
    """As `load`, from a string; `name` stands in the messages."""
    node, data = parse_yaml(text, name)
    if not isinstance(data, dict):
        raise ConfigError(f"{name}: expected keys such as 'source:', found {type(data).__name__}")
    for override in overrides:
        _override(data, override)
    found = [(where, cls, _errors(cls, value)) for where, cls, value in _parts(data)]
    mistakes = [(where, e, cls) for where, cls, errors in found for e in errors]
    mistakes += [((), e, Config) for e in _errors(Config, data) if not _inside(e["loc"], mistakes)]
    if mistakes:
        raise ConfigError(
            "\n".join(
                f"{name}:{line_of(node, (*where, *e['loc']))}: {explain(e, where, cls)}"
                for where, e, cls in mistakes
            )
        )
    return Config.model_validate(data)


def parse_yaml(text: str, name: str) -> tuple[yaml.Node | None, Any]:
    """YAML as its nodes, which know their lines, and as data."""
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        data = yaml.safe_load(text)
    except (yaml.YAMLError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        line = f":{mark.line + 1}" if mark else ""
        problem = " ".join(str(getattr(error, "problem", None) or error).split())
        raise ConfigError(f"{name}{line}: not YAML: {problem}") from error
    for key, at in _repeated(node, set()):
        raise ConfigError(f"{name}:{at}: '{key}' stands there twice; leave one of them")
    return node, data


def _repeated(node: yaml.Node | None, seen: set[int]) -> Iterator[tuple[str, int]]:
    """Name and line of keys of which YAML would silently take the last."""
    if node is None or id(node) in seen:
        return
    seen.add(id(node))
    if isinstance(node, yaml.MappingNode):
        keys: set[str] = set()
        for key, value in node.value:
            if key.value in keys:
                yield key.value, key.start_mark.line + 1
            keys.add(key.value)
            yield from _repeated(value, seen)
    elif isinstance(node, yaml.SequenceNode):
        for item in node.value:
            yield from _repeated(item, seen)


def _override(data: Any, override: str) -> None:
    path, equals, text = override.partition("=")
    *parents, last = path.split(".")
    try:
        if not equals:
            raise KeyError("=")
        place = data
        for key in parents:
            place = place[int(key)] if isinstance(place, list) else place.setdefault(key, {})
        value = yaml.safe_load(text)
        place[int(last) if isinstance(place, list) else last] = value
    except (KeyError, IndexError, ValueError, AttributeError, TypeError, yaml.YAMLError) as error:
        raise ConfigError(
            f"--set {override}: expected key.key=value with keys of the configuration, "
            "for example --set window.hop_s=0.2"
        ) from error


def schema() -> dict[str, Any]:
    """JSON schema of a session, with every installed kind, for editors."""
    result = Config.model_json_schema()
    definitions = result.setdefault("$defs", {})
    for family, base in (
        ("source", SourceSettings),
        ("stage", StageSettings),
        ("decoder", DecoderSettings),
        ("output", OutputSettings),
    ):
        options = []
        for kind in registry.kinds(family):  # type: ignore[arg-type]
            cls = registry.find(family, kind)  # type: ignore[arg-type]
            if cls is None:
                continue
            part = cls.model_json_schema(ref_template="#/$defs/{model}")
            definitions.update(part.pop("$defs", {}))
            definitions[cls.__name__] = part
            options.append({"$ref": f"#/$defs/{cls.__name__}"})
        definitions[base.__name__] = {"oneOf": options}
    return result


def dump(config: Config) -> str:
    """The configuration as YAML; `loads(dump(c)) == c`."""
    return yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False, allow_unicode=True)


# --- messages ------------------------------------------------------------------------------------

Place = tuple[str | int, ...]


def _parts(data: Mapping[str, Any]) -> Iterator[tuple[Place, type[Settings], Any]]:
    """Every source, stage, decoder and output of a session whose kind is known, and its place."""
    for key, family in _FAMILIES.items():
        value = data.get(key)
        places = enumerate(value) if isinstance(value, list) else [(None, value)]
        for number, part in places:
            if isinstance(part, Mapping) and "kind" in part:
                cls = registry.find(family, str(part["kind"]))
                if cls is not None:
                    yield (key,) if number is None else (key, number), cls, part


def _errors(cls: type[Settings], value: Any) -> list[Any]:
    try:
        cls.model_validate(value)
    except ValidationError as error:
        return error.errors(include_url=False)
    return []


def _inside(loc: Place, mistakes: list[Any]) -> bool:
    """Whether a mistake at `loc` was told already, by the part that it belongs to."""
    return any(where and loc[: len(where)] == where for where, _, _ in mistakes)


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """The nearest known word as the end of a message, or all of them."""
    near = difflib.get_close_matches(word, list(known), n=1, cutoff=0.5)
    return f"; did you mean '{near[0]}'?" if near else f"; known are: {', '.join(sorted(known))}"


def explain(error: Any, where: Place, cls: type[Settings]) -> str:
    """One of pydantic's errors as a line: the key, what is wrong with it, what to do."""
    loc = error["loc"]
    key = ".".join(str(part) for part in (*where, *loc))
    if error["type"] == "extra_forbidden":
        return f"unknown key '{key}'{did_you_mean(str(loc[-1]), _fields_at(cls, loc[:-1]))}"
    if error["type"] == "missing":
        return f"'{key}' is missing"
    message = error["msg"].removeprefix("Value error, ")
    shown = error.get("input")
    if isinstance(shown, (str, int, float, bool)) and error["type"] != "value_error":
        message += f"; found {shown!r}"
    return f"'{key}': {message}" if key else message


def _fields_at(cls: type[Settings], loc: Place) -> set[str]:
    """Known keys of the settings found at a place below `cls`."""
    models = [cls]
    for part in loc:
        of_kind = [m for m in models if "kind" in m.model_fields]
        tagged = [m for m in of_kind if m.model_fields["kind"].default == part]
        below = [
            n for m in models if part in m.model_fields
            for n in _models(m.model_fields[str(part)].annotation)
        ]  # fmt: skip
        models = tagged or below or models
    return {name for m in models for name in m.model_fields}


def _models(annotation: Any) -> list[type[Settings]]:
    """Settings classes that an annotation names."""
    if isinstance(annotation, type) and issubclass(annotation, Settings):
        return [annotation]
    return [m for a in get_args(annotation) for m in _models(a)]


def line_of(node: yaml.Node | None, loc: tuple[Any, ...]) -> int:
    """Line (from 1) of the deepest node of `loc` that is in the file."""
    line = node.start_mark.line + 1 if node else 1
    for part in loc:
        if isinstance(node, yaml.MappingNode):
            match = next(((k, v) for k, v in node.value if k.value == str(part)), None)
            if match is None:
                continue  # a union's tag, or a key that is missing
            line, node = match[0].start_mark.line + 1, match[1]
        elif isinstance(node, yaml.SequenceNode) and isinstance(part, int):
            node = node.value[part]
            line = node.start_mark.line + 1
    return line
