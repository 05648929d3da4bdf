"""The widget of the traces: labels, scale, time, markers and decisions around the image."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from math import ceil, floor
from typing import NamedTuple

from PySide6.QtCore import QPointF, QRect, QRectF, Qt, Signal
from PySide6.QtGui import (
    QColor,
    QFont,
    QFontMetrics,
    QImage,
    QKeyEvent,
    QPainter,
    QPaintEvent,
    QPen,
    QPixmap,
    QResizeEvent,
    QWheelEvent,
)
from PySide6.QtWidgets import QSizePolicy, QWidget

from gui.theme import Theme
from gui.traces.raster import Raster
from gui.traces.view import TraceView

__all__ = ["Canvas", "Note"]

_TOP, _BOTTOM, _RIGHT = 32, 38, 8
#: Grid lines may lie so far apart, seconds; the first with enough room is taken.
_STEPS_S = (0.1, 0.2, 0.5, 1, 2, 5, 10, 30)


class Note(NamedTuple):
    """Something at a sample: a marker's value, or a decision."""

    sample: int
    text: str
    colour: str
    given: bool = True  # False: an abstention


class Canvas(QWidget):
    """Shows a `TraceView`; `refresh` is called at the display's rate.

    Attributes
    ----------
    markers, decisions : list of Note
        Drawn where they lie on screen, in the order of their samples.
    """

    #: The person asked for a move by so many seconds, back being negative.
    moved = Signal(float)
    #: The person asked for a larger (1) or smaller (-1) scale.
    scaled = Signal(int)

    def __init__(self, view: TraceView, theme: Theme) -> None:
        super().__init__()
        self.view = view
        self.markers: list[Note] = []
        self.decisions: list[Note] = []
        self._theme = theme
        self._labels: QPixmap | None = None
        self._labels_of: tuple[object, ...] = ()
        self._plot = QRect()
        self._plot_of: tuple[object, ...] = ()
        self._small = QFont(self.font())
        self._small.setPointSizeF(8.0)
        self.setMinimumSize(320, 160)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setAttribute(Qt.WidgetAttribute.WA_OpaquePaintEvent)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setAccessibleName("Traces")

    def use(self, theme: Theme) -> None:
        """Draw in the colours of `theme`."""
        self._theme = theme
        self._labels = None
        self.view.use(theme)
        self.update()

    def refresh(self) -> None:
        """Take what is new; draw where the picture has changed."""
        self._fit()
        if self.view.advance():
            self.update()

    # --- geometry ------------------------------------------------------------------------------

    def _fit(self) -> None:
        """Place the plot beside the widest label, and give the image its size."""
        view, size = self.view, self.size()
        if self._plot_of != (view.info, view.channels, size):
            self._plot_of = (view.info, view.channels, size)
            names = [] if view.info is None else [view.info.ch_names[c] for c in view.channels]
            metrics = QFontMetrics(self._small)
            left = max([58, *(metrics.horizontalAdvance(name) + 14 for name in names)])
            width, height = size.width() - left - _RIGHT, size.height() - _TOP - _BOTTOM
            self._plot = QRect(left, _TOP, max(1, width), max(1, height))
        ratio = self.devicePixelRatioF()
        view.resize(round(self._plot.width() * ratio), round(self._plot.height() * ratio))

    def resizeEvent(self, event: QResizeEvent) -> None:  # noqa: N802 (Qt's name)
        """Keep the image as large as the plot."""
        self._fit()

    def wheelEvent(self, event: QWheelEvent) -> None:  # noqa: N802
        """Scroll back and forth; with Ctrl, change the scale."""
        steps = event.angleDelta().y() / 120.0
        if event.modifiers() & Qt.KeyboardModifier.ControlModifier:
            self.scaled.emit(-1 if steps > 0 else 1)
        else:
            self.moved.emit(-0.1 * self.view.span_s * steps)

    def keyPressEvent(self, event: QKeyEvent) -> None:  # noqa: N802
        """Move with the arrows and with Page up and down; + and - change the scale."""
        key, span = Qt.Key(event.key()), self.view.span_s
        moves = {
            Qt.Key.Key_Left: -0.1, Qt.Key.Key_Right: 0.1,
            Qt.Key.Key_PageUp: -1.0, Qt.Key.Key_PageDown: 1.0,
        }  # fmt: skip
        if key in moves:
            self.moved.emit(moves[key] * span)
        elif key in (Qt.Key.Key_Plus, Qt.Key.Key_Equal, Qt.Key.Key_Up):
            self.scaled.emit(-1)
        elif key in (Qt.Key.Key_Minus, Qt.Key.Key_Down):
            self.scaled.emit(1)
        else:
            super().keyPressEvent(event)

    # --- painting ------------------------------------------------------------------------------

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802
        """Copy the image; draw the rest over it."""
        painter = QPainter(self)
        theme, plot = self._theme, self._plot
        painter.fillRect(self.rect(), QColor(theme.ground))
        raster = self.view.raster
        if raster is None or self.view.info is None:
            painter.setPen(QColor(theme.muted))
            painter.drawText(self.rect(), Qt.AlignmentFlag.AlignCenter, "Waiting for samples …")
            return
        self._paint_image(painter, plot, raster)
        painter.setFont(self._small)
        self._paint_time(painter, plot)
        self._paint_labels(painter, plot)
        painter.setClipRect(plot.adjusted(0, -_TOP, 0, _BOTTOM))
        self._paint_markers(painter, plot)
        self._paint_decisions(painter, plot)

    def _paint_image(self, painter: QPainter, plot: QRect, raster: Raster) -> None:
        """Copy the columns on screen, in two parts where the ring has its seam between them."""
        n, ratio = raster.width, self.devicePixelRatioF()
        shown = round(plot.width() * ratio)
        image = QImage(
            raster.pixels.data, n, raster.height, 4 * n, QImage.Format.Format_RGB32
        )  # a view
        first = floor(self.view.edge / self.view.width) - shown
        x = 0
        while x < shown:
            column = (first + x) % n
            width = min(shown - x, n - column)
            painter.drawImage(
                QRectF(plot.left() + x / ratio, plot.top(), width / ratio, raster.height / ratio),
                image,
                QRectF(column, 0, width, raster.height),
            )
            x += width

    def _x(self, index: float) -> float:
        """Where a sample lies, in the widget's coordinates."""
        view = self.view
        return self._plot.right() - (view.edge - index) / view.width / self.devicePixelRatioF()

    def _paint_time(self, painter: QPainter, plot: QRect) -> None:
        view, theme = self.view, self._theme
        info = view.info
        assert info is not None
        step = next(s for s in _STEPS_S if s >= view.span_s * 70 / plot.width() or s == 30)
        last = view.edge / info.sfreq
        grid, text = QPen(QColor(theme.grid), 1, Qt.PenStyle.DotLine), QColor(theme.muted)
        for k in range(ceil((last - view.span_s) / step), floor(last / step) + 1):
            if k < 0:
                continue
            x = self._x(k * step * info.sfreq)
            painter.setPen(grid)
            painter.drawLine(QPointF(x, plot.top()), QPointF(x, plot.bottom()))
            if x < plot.left() + 12:
                continue
            painter.setPen(text)
            painter.drawText(
                QRectF(x - 40, plot.bottom() + 20, 80, 16),
                Qt.AlignmentFlag.AlignCenter,
                _clock(k * step, step),
            )

    def _paint_labels(self, painter: QPainter, plot: QRect) -> None:
        """Names of the channels and the scale, painted anew only when they change."""
        view, ratio = self.view, self.devicePixelRatioF()
        shown = (plot, ratio, view.channels, view.bads, view.uv_per_lane, view.info, self._theme)
        if self._labels is None or self._labels_of != shown:
            self._labels_of = shown
            self._labels = QPixmap(round(plot.left() * ratio), round(self.height() * ratio))
            self._labels.setDevicePixelRatio(ratio)
            self._labels.fill(QColor(self._theme.ground))
            inner = QPainter(self._labels)
            self._draw_labels(inner, plot)
            inner.end()
        painter.drawPixmap(0, 0, self._labels)

    def _draw_labels(self, painter: QPainter, plot: QRect) -> None:
        view, theme = self.view, self._theme
        info = view.info
        assert info is not None
        lane = plot.height() / max(1, len(view.channels))
        font = QFont(self._small)
        font.setPixelSize(max(6, min(QFontMetrics(self._small).height() - 2, round(lane * 1.15))))
        every = max(1, ceil(7.0 / lane))  # where lanes are narrower than letters
        for k, (channel, colour) in enumerate(zip(view.channels, view.colours(), strict=True)):
            if k % every:
                continue
            name = info.ch_names[channel]
            font.setStrikeOut(name in view.bads)
            painter.setFont(font)
            blue, green, red = (round(float(c)) for c in colour)
            painter.setPen(QColor(red, green, blue))
            box = QRectF(0, plot.top() + k * lane, plot.left() - 6, lane * every)
            centre = box.center().y() - 0.5 * lane * (every - 1)
            painter.drawText(
                QRectF(0, centre - 12, plot.left() - 6, 24),
                Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter,
                name,
            )
        painter.setFont(self._small)
        painter.setPen(QColor(theme.muted))
        painter.drawText(
            QRectF(0, plot.bottom() + 20, plot.left() - 2, 16),
            Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter,
            f"{view.uv_per_lane:g} µV",
        )
        bar = min(lane, plot.height() / 4)
        x = 5
        pen = QPen(QColor(theme.text), 1.5)
        painter.setPen(pen)
        painter.drawLine(QPointF(x, plot.bottom() - bar), QPointF(x, plot.bottom()))
        for y in (plot.bottom() - bar, plot.bottom()):
            painter.drawLine(QPointF(x - 2, y), QPointF(x + 2, y))

    def _visible(self, notes: list[Note], plot: QRect) -> Iterator[tuple[float, Note]]:
        view = self.view
        edge = floor(view.edge)
        left = edge - floor(plot.width() * self.devicePixelRatioF() * view.width)
        first = bisect_left(notes, left, key=lambda note: note.sample)
        for note in notes[first : bisect_right(notes, edge, key=lambda note: note.sample)]:
            yield self._x(note.sample), note

    def _paint_markers(self, painter: QPainter, plot: QRect) -> None:
        """A line across the traces, its text above them, in the first row with room for it."""
        metrics, free = QFontMetrics(self._small), [float(plot.left())] * 2
        for x, note in self._visible(self.markers, plot):
            row = next((row for row in (0, 1) if x >= free[row]), None)
            painter.setPen(QPen(QColor(note.colour), 1, Qt.PenStyle.DashLine))
            painter.drawLine(QPointF(x, plot.top() - 4), QPointF(x, plot.bottom()))
            if row is not None:
                painter.setPen(QColor(self._theme.text))
                painter.drawText(QPointF(x + 2, plot.top() - 6 - 12 * row), note.text)
                free[row] = x + metrics.horizontalAdvance(note.text) + 8

    def _paint_decisions(self, painter: QPainter, plot: QRect) -> None:
        """A tick below the traces for each, hollow where none was given; text where it changes."""
        metrics, free = QFontMetrics(self._small), float(plot.left())
        y, said = plot.bottom() + 5.0, ""
        for x, note in self._visible(self.decisions, plot):
            colour = QColor(note.colour)
            painter.setPen(QPen(colour, 1))
            painter.setBrush(colour if note.given else Qt.BrushStyle.NoBrush)
            painter.drawEllipse(QPointF(x, y), 2.5, 2.5)
            if x >= free and note.text != said:
                painter.setPen(QColor(self._theme.text if note.given else self._theme.muted))
                painter.drawText(QPointF(x - 2, y + 14), note.text)
                free = x + metrics.horizontalAdvance(note.text) + 8
                said = note.text


def _clock(seconds: float, step: float) -> str:
    """Time since the stream's start, as minutes and seconds."""
    minutes, rest = divmod(seconds, 60.0)
    return f"{int(minutes)}:{rest:04.1f}" if step < 1 else f"{int(minutes)}:{round(rest):02d}"
