"""Settings of the evaluations: who is trained on what, and what is asked.

`bci.benchmark.folds` makes their folds, `bci.benchmark.online` does what is pseudo-online.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from bci.config import Settings


class Evaluation(Settings):
    """Base of the evaluations."""

    kind: str
    name: str = Field(
        "", description="what it is called in rows and report; its kind if empty. Two "
        "evaluations of one kind for one data set need names",
    )  # fmt: skip
    only: list[str] | None = Field(
        None, description="names of data sets or paradigms that it is meant for; null: all"
    )
    pipelines: list[str] | None = Field(None, description="names of pipelines; null: all")

    @property
    def title(self) -> str:
        """What it is called in rows and report."""
        return self.name or self.kind


class Windowed(Evaluation):
    """Base of the evaluations that can score several window lengths."""

    window_s: list[Annotated[float, Field(gt=0)]] | None = Field(
        None,
        description="seconds; each epoch is cut to its beginning of this length before the "
        "pipeline sees it, in training and test, and every length is scored. null: whole "
        "epochs. The data set's own filters have run over the recording before",
    )

    @field_validator("window_s")
    @classmethod
    def _rising(cls, value: list[float] | None) -> list[float] | None:
        if value is not None and (not value or sorted(set(value)) != value):
            raise ValueError(f"lengths must rise; found {value}")
        return value


class WithinSession(Windowed):
    """Folds inside each session: stratified and shuffled, or stretches of time."""

    kind: Literal["within_session"] = "within_session"
    folds: int = Field(5, ge=2, le=100)
    order: Literal["shuffled", "blocked"] = Field(
        "shuffled",
        description="shuffled: trials on both sides of a split are neighbours, as MOABB has it; "
        "blocked: each fold is one stretch of time, so that what drifts is no help",
    )
    permutations: int = Field(
        0,
        ge=0,
        le=100_000,
        description="also train and test so many times with the session's labels shuffled among "
        "its trials, for a p value of each score: it takes as many times as long. 0: none",
    )


class Stopping(Settings):
    """Trials that are decided as soon as enough is seen of them."""

    target_error: float = Field(
        0.05, gt=0, lt=1, description="promised among decisions that reach the threshold"
    )
    first_s: float = Field(0.3, gt=0, description="shortest window that is looked at, seconds")
    step_s: float = Field(0.1, gt=0, description="from look to look, seconds")
    folds: int = Field(
        4,
        ge=2,
        description="of the training, to calibrate on; fewer where a class has fewer trials",
    )


class LeaveOneBlockOut(Windowed):
    """Inside each session, leave one block out: the protocol of SSVEP spellers [1]_.

    A block is the n-th repetition of every class in order of time, which is what
    a speller records where each run of its timetable shows every target once.
    Repetitions beyond those of the rarest class are trained on only.

    References
    ----------
    .. [1] Chen, Wang, Nakanishi, Gao, Jung, Gao (2015). High-speed spelling with a
       noninvasive brain-computer interface. PNAS 112, E6058.
    """

    kind: Literal["leave_one_block_out"] = "leave_one_block_out"
    stopping: Stopping | None = Field(
        None,
        description="also decide each trial at the first sufficient look, with decoders that take "
        "windows of any length; calibrated in each training fold, for each window length. null: no",
    )


class TrainingFree(Windowed):
    """All epochs of each session by decoders that need no training, which get none.

    For sessions too short to be trained on. The others fail in their rows.
    """

    kind: Literal["training_free"] = "training_free"


class WithinSubject(Windowed):
    """Stratified folds over all sessions of a subject, shuffled.

    Sessions of other days stand on both sides of a split: more to train on than
    within a session, and easier than leaving a session out.
    """

    kind: Literal["within_subject"] = "within_subject"
    folds: int = Field(5, ge=2, le=100)


class CrossSession(Windowed):
    """Leave one session of a subject out."""

    kind: Literal["cross_session"] = "cross_session"


class CrossSubject(Windowed):
    """Leave one subject out, all sessions together."""

    kind: Literal["cross_subject"] = "cross_subject"


class LearningCurve(Evaluation):
    """Scores of one test set over growing training sets, inside each session."""

    kind: Literal["learning_curve"] = "learning_curve"
    trials_per_class: list[int] | None = Field(None, description="sizes of the training set")
    minutes: list[float] | None = Field(
        None, description="sizes of the training set as minutes of EEG in its epochs"
    )
    repeats: int = Field(5, ge=1, le=1000, description="random splits")
    test_size: float = Field(0.2, gt=0, lt=1, description="share of the trials that is tested on")

    @model_validator(mode="after")
    def _sizes(self) -> LearningCurve:
        if (self.trials_per_class is None) == (self.minutes is None):
            raise ValueError("needs either 'trials_per_class' or 'minutes'")
        sizes = list(self.trials_per_class or self.minutes or [])
        if not sizes or min(sizes) <= 0 or sorted(set(sizes)) != sizes:
            raise ValueError(f"sizes must be positive and rise; found {sizes}")
        return self


class Transfer(Windowed):
    """Train on some sessions of a subject, test on others."""

    kind: Literal["transfer"] = "transfer"
    train: list[int | str] = Field(min_length=1, description="names, or numbers in order of time")
    test: list[int | str] = Field(min_length=1, description="names, or numbers in order of time")


class PseudoOnline(Evaluation):
    """Continuous recordings through the live pipeline, sample by sample."""

    kind: Literal["pseudo_online"] = "pseudo_online"
    session: dict[str, Any] = Field(
        {}, description="processing, window, decision, quality of the session, as in its own YAML"
    )
    train: Literal["other_sessions", "none"] = Field(
        "other_sessions", description="what the decoder learns from; none: training-free decoders"
    )
    rules: dict[str, Any] = Field({}, description="how decisions are matched to trials")
    threshold: Literal["fixed", "auto"] = Field(
        "fixed",
        description="the decision's threshold. fixed: as 'session' has it; auto: the lowest that "
        "keeps false activations on the subject's other sessions within 'max_false_per_min'",
    )
    max_false_per_min: float = Field(1.0, ge=0, description="for the threshold that is chosen")
    idle_time: Literal["idle", "rest"] = Field(
        "idle", description="where they are counted: all idle time, or marked rest only"
    )


EvaluationPart = Annotated[
    WithinSession
    | LeaveOneBlockOut
    | TrainingFree
    | WithinSubject
    | CrossSession
    | CrossSubject
    | LearningCurve
    | Transfer
    | PseudoOnline,
    Field(discriminator="kind"),
]
