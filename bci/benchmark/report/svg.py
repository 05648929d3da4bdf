"""Small SVG figures that take their colours from the page's style sheet.

A figure names classes and never colours, so that one drawing serves a light
page, a dark page and paper. All text is escaped here.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape

from markupsafe import Markup

#: Colours of the style sheet, ``--c0`` to ``--c6``; shapes go round at another pace.
N_COLOURS = 7
#: Width of a character of the figures' text, px (a safe guess for any sans serif).
CHARACTER = 6.7
_SHAPES = ("circle", "square", "up", "diamond", "down")
_OUTLINES = {
    "square": "M-{r} -{r}h{d}v{d}h-{d}z",
    "up": "M0 -{d}L{d} {r}H-{d}z",
    "down": "M0 {d}L{d} -{r}H-{d}z",
    "diamond": "M0 -{d}L{d} 0L0 {d}L-{d} 0z",
}


@dataclass(frozen=True, slots=True)
class Scale:
    """From values ``low … high`` to pixels ``start … stop``, linear; clips outside."""

    low: float
    high: float
    start: float
    stop: float

    def __call__(self, value: float) -> float:
        """Pixel of a value."""
        share = (min(max(value, self.low), self.high) - self.low) / (self.high - self.low)
        return self.start + share * (self.stop - self.start)

    def ticks(self, n: int = 6) -> Iterator[float]:
        """About `n` round values, at steps of 1, 2 or 5 times a power of ten."""
        step = nice_step((self.high - self.low) / n)
        first, last = math.ceil(self.low / step - 1e-9), math.floor(self.high / step + 1e-9)
        for k in range(first, last + 1):
            yield k * step


def nice_step(wanted: float) -> float:
    """Smallest 1, 2 or 5 times a power of ten that is at least `wanted`."""
    power = 10.0 ** math.floor(math.log10(wanted))
    return next(m * power for m in (1.0, 2.0, 5.0, 10.0) if m * power >= wanted * (1 - 1e-9))


def shorten(name: str, n: int) -> str:
    """`name` in at most `n` characters; loses its middle, where names differ least."""
    if len(name) <= n:
        return name
    tail = (n - 1) // 2
    return f"{name[: n - 1 - tail]}…{name[-tail:]}"


def number(value: float) -> str:
    """A coordinate, 0.1 px fine."""
    return f"{round(value, 1) + 0.0:g}"  # + 0.0: no minus zero


class Figure:
    """One SVG picture, drawn element by element.

    Parameters
    ----------
    width, height : float
        CSS pixels; the page scales it down where there is less room.
    label : str
        What it shows, for those who cannot see it.
    """

    def __init__(self, width: float, height: float, label: str) -> None:
        self.width, self.height = width, height
        self._label = label
        self._parts: list[str] = []

    def line(self, x1: float, y1: float, x2: float, y2: float, css: str) -> None:
        """A straight line."""
        self._parts.append(
            f'<path class="{css}" d="M{number(x1)} {number(y1)}L{number(x2)} {number(y2)}"/>'
        )

    def path(self, points: Sequence[tuple[float, float]], css: str) -> None:
        """A polyline."""
        if points:
            d = "L".join(f"{number(x)} {number(y)}" for x, y in points)
            self._parts.append(f'<path class="{css}" d="M{d}"/>')

    def rect(self, x: float, y: float, w: float, h: float, css: str, title: str = "") -> None:
        """A rectangle, `title` shown under the pointer."""
        self._parts.append(
            f'<rect class="{css}" x="{number(x)}" y="{number(y)}" width="{number(max(0.0, w))}"'
            f' height="{number(max(0.0, h))}">{_title(title)}</rect>'
        )

    def cells(self, corners: Sequence[tuple[float, float]], size: float, opacity: float) -> None:
        """Squares of one opacity, as one element: a matrix of 40 × 40 stays small."""
        side = number(size)
        d = "".join(f"M{number(x)} {number(y)}h{side}v{side}h-{side}z" for x, y in corners)
        self._parts.append(f'<path class="cell" fill-opacity="{opacity:.2f}" d="{d}"/>')

    def text(
        self, x: float, y: float, text: str, css: str = "", anchor: str = "start", title: str = ""
    ) -> None:
        """One line of text; `anchor` is start, middle or end."""
        self._parts.append(
            f'<text class="{css}" x="{number(x)}" y="{number(y)}" text-anchor="{anchor}">'
            f"{_title(title)}{escape(text)}</text>"
        )

    def text_up(
        self, x: float, y: float, text: str, css: str = "", anchor: str = "middle", title: str = ""
    ) -> None:
        """One line of text, read upwards."""
        self._parts.append(
            f'<text class="{css}" transform="translate({number(x)} {number(y)})rotate(-90)"'
            f' text-anchor="{anchor}">{_title(title)}{escape(text)}</text>'
        )

    def mark(
        self,
        x: float,
        y: float,
        series: int,
        *,
        solid: bool = True,
        r: float = 3.2,
        title: str = "",
    ) -> None:
        """The mark of series number `series`: its colour and shape; hollow unless `solid`."""
        css = f"mark c{series % N_COLOURS}" + ("" if solid else " hollow")
        self._shape(_SHAPES[series % len(_SHAPES)], css, (x, y), r, title)

    def mean(self, x: float, y: float, title: str) -> None:
        """The mark of a mean."""
        self._shape("diamond", "mark mean", (x, y), 4.5, title)

    def dot(self, x: float, y: float, series: int, title: str) -> None:
        """A small mark, for the members of a crowd."""
        self._shape("circle", f"mark c{series % N_COLOURS}", (x, y), 1.8, title)

    def _shape(self, shape: str, css: str, at: tuple[float, float], r: float, title: str) -> None:
        x, y = map(number, at)
        if shape == "circle":
            start, end = f'<circle class="{css}" cx="{x}" cy="{y}" r="{number(r)}"', "circle"
        else:
            d = _OUTLINES[shape].format(
                r=number(0.85 * r), d=number((1.7 if shape == "square" else 1.25) * r)
            )
            start, end = f'<path class="{css}" transform="translate({x} {y})" d="{d}"', "path"
        self._parts.append(f"{start}>{_title(title)}</{end}>")

    def __html__(self) -> str:
        label = escape(self._label, quote=True)
        return (
            f'<svg viewBox="0 0 {number(self.width)} {number(self.height)}"'
            f' style="max-width:{number(self.width)}px" role="img" aria-label="{label}">'
            + "".join(self._parts)
            + "</svg>"
        )

    def markup(self) -> Markup:
        """The figure as HTML that a template takes as it is."""
        return Markup(self.__html__())


def _title(text: str) -> str:
    return f"<title>{escape(text)}</title>" if text else ""
