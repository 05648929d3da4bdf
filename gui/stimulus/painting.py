"""Draws a scene: keys in a grid, the text above them, and what to do below.

A key that does not flicker has the mean luminance of one that does, so that the
flicker begins and ends without a step. Marks of cue and feedback stand around the
keys, in colours that the colour-blind tell apart (Okabe and Ito) and in different
strokes.
"""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QPoint, QRect, QRectF, QSize, Qt
from PySide6.QtGui import QColor, QFont, QPainter, QPen, QPixmap, QRegion

from bci.paradigms.keyboard import Key
from bci.paradigms.spelling_scene import Phase, Scene

__all__ = ["BACKGROUND", "FAINT", "HINT", "MARK", "MEAN_LEVEL", "TEXT", "Picture", "font"]

#: Level of a key that does not flicker, 0 to 255.
MEAN_LEVEL = 128

BACKGROUND = QColor("black")
TEXT = QColor("#f0f0f0")
FAINT = QColor("#9a9a9a")
MARK = QColor("#e69f00")
_RIGHT, _WRONG, _CHOSEN = QColor("#009e73"), QColor("#d55e00"), QColor("#56b4e9")
_GREY = [QColor(level, level, level) for level in range(256)]

#: Shares of the window's height: line of text, line of notes; and of a cell: the gap.
_TEXT_BAR, _NOTE_BAR, _GAP = 0.13, 0.06, 0.24
#: Width of a key, at most, in heights.
_WIDEST = 1.5
_LEFT = Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter
_RIGHT_SIDE = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
HINT = "Esc or Space: blank    Enter: go on"


class Picture:
    """The stimulus window's picture, for one size of it.

    Parameters
    ----------
    cells : sequence of (row, column)
        Place of each key, in the order of a scene's keys.
    size : QSize
        Of the window, in Qt's pixels.
    ratio : float
        Device pixels for each of them.

    Attributes
    ----------
    keys : list of QRect
        Where the keys are.
    keys_region : QRegion
        All of them: what changes while the scene stays.
    """

    def __init__(self, cells: Sequence[tuple[int, int]], size: QSize, ratio: float = 1.0) -> None:
        self._whole = QRect(QPoint(0, 0), size)
        self._ratio = ratio
        w, h = size.width(), size.height()
        self._text_bar = QRect(0, 0, w, round(_TEXT_BAR * h))
        self._note_bar = QRect(0, h - round(_NOTE_BAR * h), w, round(_NOTE_BAR * h))
        top, bottom = self._text_bar.bottom(), self._note_bar.top()
        n_rows = 1 + max(row for row, _ in cells)
        n_columns = 1 + max(column for _, column in cells)
        cell_w, cell_h = w / n_columns, (bottom - top) / n_rows
        gap = _GAP * min(cell_w, cell_h)
        self._stroke = max(3.0, 0.18 * gap)
        key_h = cell_h - gap
        key_w = min(cell_w - gap, _WIDEST * key_h)
        self.keys = [
            QRectF(
                (column + 0.5) * cell_w - key_w / 2,
                top + (row + 0.5) * cell_h - key_h / 2,
                key_w,
                key_h,
            ).toRect()
            for row, column in cells
        ]
        self.keys_region = QRegion()
        for key in self.keys:
            self.keys_region += key
        self._captions: dict[str, QPixmap] = {}

    @property
    def flicker_share(self) -> float:
        """Share of the window that flickers, 0 to 1; see `bci.paradigms.collisions.findings`."""
        area = sum(key.width() * key.height() for key in self.keys)
        return area / (self._whole.width() * self._whole.height())

    def draw(self, painter: QPainter, scene: Scene, levels: Sequence[int] | None) -> None:
        """Draw everything.

        Parameters
        ----------
        painter : QPainter
        scene : Scene
        levels : sequence of int or None
            Of each key, 0 to 255; None: at rest.
        """
        painter.fillRect(self._whole, BACKGROUND)
        self.draw_keys(painter, scene, levels)
        self._draw_text(painter, scene)
        self._draw_note(painter, scene)
        self._draw_marks(painter, scene)

    def draw_keys(self, painter: QPainter, scene: Scene, levels: Sequence[int] | None) -> None:
        """Draw what changes from frame to frame; see `draw`."""
        levels = levels or [MEAN_LEVEL] * len(self.keys)
        for rect, key, level in zip(self.keys, scene.keys, levels, strict=True):
            painter.fillRect(rect, _GREY[level])
            if key.caption:
                painter.drawPixmap(rect.topLeft(), self._caption(key, rect.size()))

    def _caption(self, key: Key, size: QSize) -> QPixmap:
        if key.caption not in self._captions:
            pixmap = QPixmap(size * self._ratio)
            pixmap.setDevicePixelRatio(self._ratio)
            pixmap.fill(Qt.GlobalColor.transparent)
            with QPainter(pixmap) as painter:
                painter.setPen(BACKGROUND)
                room = QRect(QPoint(0, 0), size)
                painter.setFont(_fitting(painter, key.caption, room, 0.42))
                painter.drawText(room, Qt.AlignmentFlag.AlignCenter, key.caption)
            self._captions[key.caption] = pixmap
        return self._captions[key.caption]

    def _draw_text(self, painter: QPainter, scene: Scene) -> None:
        room = _inside(self._text_bar)
        if scene.phrase is not None:
            half = room.height() // 2
            self._draw_line(painter, scene.phrase, room.adjusted(0, 0, 0, -half), FAINT)
            room = room.adjusted(0, half, 0, 0)
        end = len(scene.text.rstrip(" "))
        written = scene.text[:end] + "␣" * (len(scene.text) - end) + "▏"
        self._draw_line(painter, written, room, TEXT)

    def _draw_line(self, painter: QPainter, text: str, room: QRect, colour: QColor) -> None:
        painter.setPen(colour)
        painter.setFont(font(min(0.7 * room.height(), 0.5 * self._text_bar.height())))
        shown = painter.fontMetrics().elidedText(text, Qt.TextElideMode.ElideLeft, room.width())
        painter.drawText(room, _LEFT, shown)

    def _draw_note(self, painter: QPainter, scene: Scene) -> None:
        bar = _inside(self._note_bar)
        painter.setFont(font(0.5 * bar.height()))
        painter.setPen(FAINT)
        painter.drawText(bar, _RIGHT_SIDE, HINT)
        painter.setPen(TEXT)
        painter.drawText(bar, _LEFT, scene.note)

    def _draw_marks(self, painter: QPainter, scene: Scene) -> None:
        painter.setBrush(Qt.BrushStyle.NoBrush)
        for label, key in zip(scene.labels, self.keys, strict=True):
            if label == scene.chosen:
                colour = {True: _RIGHT, False: _WRONG, None: _CHOSEN}[scene.right]
                dashed = scene.right is False
                self._frame(painter, key, colour, dashed=dashed)
            elif label == scene.cue and scene.phase is Phase.CUE:
                self._frame(painter, key, MARK)
            elif label == scene.cue:  # where it flickers, a small mark below
                r = round(2.0 * self._stroke)
                x, y = key.center().x(), key.bottom() + 1 + round(self._stroke)
                painter.setPen(Qt.PenStyle.NoPen)
                painter.setBrush(MARK)
                painter.drawPolygon([QPoint(x, y), QPoint(x - r, y + r), QPoint(x + r, y + r)])
                painter.setBrush(Qt.BrushStyle.NoBrush)

    def _frame(
        self, painter: QPainter, key: QRect, colour: QColor, *, dashed: bool = False
    ) -> None:
        style = Qt.PenStyle.DashLine if dashed else Qt.PenStyle.SolidLine
        painter.setPen(QPen(colour, self._stroke, style, j=Qt.PenJoinStyle.MiterJoin))
        out = 0.5 * self._stroke + 1.0
        painter.drawRect(QRectF(key).adjusted(-out, -out, out, out))


def _inside(bar: QRect) -> QRect:
    margin = round(0.02 * bar.width())
    return bar.adjusted(margin, 0, -margin, 0)


def font(pixels: float) -> QFont:
    """Give the usual font in this size."""
    made = QFont()
    made.setPixelSize(max(6, round(pixels)))
    return made


def _fitting(painter: QPainter, text: str, room: QRect, share: float) -> QFont:
    """Choose the largest font, up to `share` of the room's height, in which `text` fits into it."""
    made = font(share * room.height())
    painter.setFont(made)
    width = painter.fontMetrics().horizontalAdvance(text)
    if width > 0.9 * room.width():
        made = font(made.pixelSize() * 0.9 * room.width() / width)
    return made
