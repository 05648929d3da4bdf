"""Draws cross, arrow and bar in the middle of a black window."""

from __future__ import annotations

import math

from PySide6.QtCore import QPointF, QRect, QRectF, QSize, Qt
from PySide6.QtGui import QColor, QPainter, QPen, QPolygonF, QRegion

from bci.paradigms.graz_run import CueScene
from gui.stimulus.painting import BACKGROUND, FAINT, HINT, MARK, TEXT, font

__all__ = ["CuePicture"]

#: Direction of the arrow, degrees from the right, anticlockwise; other labels are words.
_TOWARDS = {
    "right": 0.0, "tongue": 90.0, "hands": 90.0, "both_hands": 90.0, "left": 180.0, "feet": 270.0,
    "foot": 270.0,
}  # fmt: skip
_BAR, _HELD = QColor("#56b4e9"), QColor("#5a6a74")
#: Shares of the window's smaller side: half a cross, an arrow, the bar's longest reach and width.
_CROSS, _ARROW, _REACH, _WIDTH = 0.07, 0.3, 0.45, 0.08


class CuePicture:
    """A Graz session's picture, for one size of the window; as `gui.stimulus.painting.Picture`.

    Parameters
    ----------
    size : QSize
        Of the window, in Qt's pixels.
    """

    flicker_share = 0.0

    def __init__(self, size: QSize) -> None:
        self._whole = QRect(0, 0, size.width(), size.height())
        self._side = float(min(size.width(), size.height()))
        self._middle = QPointF(size.width() / 2, size.height() / 2)
        self.keys: list[QRect] = []
        self.keys_region = QRegion()

    def draw(self, painter: QPainter, scene: CueScene, levels: object) -> None:
        """Draw everything; nothing flickers, so that there are no `levels`."""
        painter.fillRect(self._whole, BACKGROUND)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        if scene.bar is not None and scene.cue is not None:
            self._draw_bar(painter, scene.cue, scene.bar, scene.held)
        if scene.cross:
            self._draw_cross(painter, scene.attention)
        if scene.cue is not None and scene.bar is None:
            self._draw_cue(painter, scene.cue)
        elif scene.cue is not None:  # out of the bar's way
            self._draw_word(painter, scene.cue)
        self._draw_note(painter, scene.note)

    def draw_keys(self, painter: QPainter, scene: CueScene, levels: object) -> None:
        """Nothing changes from frame to frame."""

    def _draw_cross(self, painter: QPainter, attention: bool) -> None:
        arm = _CROSS * self._side
        stroke = (0.16 if attention else 0.08) * arm
        painter.setPen(QPen(MARK if attention else TEXT, max(2.0, stroke)))
        x, y = self._middle.x(), self._middle.y()
        painter.drawLine(QPointF(x - arm, y), QPointF(x + arm, y))
        painter.drawLine(QPointF(x, y - arm), QPointF(x, y + arm))

    def _draw_cue(self, painter: QPainter, label: str) -> None:
        if label in _TOWARDS:
            length = _ARROW * self._side
            painter.save()
            painter.translate(self._middle)
            painter.rotate(-_TOWARDS[label])
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(MARK)
            start, head, half = 0.35 * length, 0.75 * length, 0.08 * length
            painter.drawPolygon(QPolygonF([
                QPointF(start, -half), QPointF(head, -half), QPointF(head, -0.25 * length),
                QPointF(1.25 * length, 0.0), QPointF(head, 0.25 * length), QPointF(head, half),
                QPointF(start, half),
            ]))  # fmt: skip
            painter.restore()
        self._draw_word(painter, label)

    def _draw_word(self, painter: QPainter, label: str) -> None:
        height = round(0.12 * self._side)
        room = QRect(0, round(0.78 * self._whole.height()), self._whole.width(), height)
        painter.setPen(MARK)
        painter.setFont(font(0.5 * height))
        painter.drawText(room, Qt.AlignmentFlag.AlignCenter, label.replace("_", " "))

    def _draw_bar(self, painter: QPainter, label: str, value: float, held: bool) -> None:
        """From the middle towards the cue where it is right, away from it where not."""
        angle = math.radians(_TOWARDS.get(label, 90.0))
        reach, half = _REACH * self._side, 0.5 * _WIDTH * self._side
        painter.save()
        painter.translate(self._middle)
        painter.rotate(-math.degrees(angle))
        painter.setPen(QPen(FAINT, 2.0))
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.drawRect(QRectF(0.0, -half, reach, 2.0 * half))  # what can be reached
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(_HELD if held else _BAR)
        length = max(-1.0, min(1.0, value)) * reach
        painter.drawRect(QRectF(min(0.0, length), -half, abs(length), 2.0 * half))
        painter.restore()

    def _draw_note(self, painter: QPainter, note: str) -> None:
        bar = self._whole.adjusted(
            round(0.02 * self._whole.width()), round(0.94 * self._whole.height()),
            -round(0.02 * self._whole.width()), 0,
        )  # fmt: skip
        painter.setFont(font(0.5 * bar.height()))
        painter.setPen(TEXT)
        painter.drawText(bar, Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter, note)
        if note:  # between runs only: in a trial nothing draws the eye
            painter.setPen(FAINT)
            painter.drawText(bar, Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter, HINT)
