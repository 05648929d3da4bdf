"""Power on the head, seen from above."""

from __future__ import annotations

from threading import Thread

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import (
    QColor,
    QFont,
    QImage,
    QPainter,
    QPainterPath,
    QPaintEvent,
    QPen,
    QPolygonF,
)
from PySide6.QtWidgets import QComboBox, QHBoxLayout, QLabel, QVBoxLayout, QWidget

from bci.dsp.spectrum import BANDS_HZ, RunningSpectrum, band_power
from bci.dsp.topography import EDGE, HeadMap
from bci.electrodes import Position, in_montage, montage_positions
from bci.types import StreamInfo
from gui.docks import Dock
from gui.docks.plotting import colour_table
from gui.docks.reading import Reading
from gui.link import EngineLink
from gui.theme import Theme

__all__ = ["TopomapDock"]

#: Where the stream itself names no positions, labels are looked up here.
MONTAGE = "standard_1005"
#: Of a side of the map; the screen smooths between them.
N_PIXELS = 120


class TopomapDock(Dock):
    """Power of a band over the last seconds, in decibels, interpolated between electrodes."""

    title = "Topomap"
    period_s = 0.5

    def __init__(self, link: EngineLink, theme: Theme) -> None:
        super().__init__(link, theme)
        self._reading = Reading(link.samples)
        self._spectrum: RunningSpectrum | None = None
        self._names: tuple[str, ...] = ()
        #: column of the stream: position of its electrode; all that have one
        self._places: dict[int, Position] = {}
        self._good: list[int] = []  # of these, by their number
        self._bads: frozenset[str] = frozenset()
        self._reader: Thread | None = None
        self.band = QComboBox()
        self.band.addItems(
            [f"{name} {low:g}–{high:g} Hz" for name, (low, high) in BANDS_HZ.items()]
        )
        self.band.setCurrentIndex(2)
        self.band.setToolTip("Band")
        self.band.currentIndexChanged.connect(self._draw)
        self.trouble = QLabel()
        self.trouble.setObjectName("muted")
        self.trouble.setWordWrap(True)
        self.head = Head(theme)
        bar = QHBoxLayout()
        bar.setContentsMargins(6, 4, 6, 0)
        bar.addWidget(self.band)
        bar.addWidget(self.trouble, 1)
        content = QWidget()
        column = QVBoxLayout(content)
        column.setContentsMargins(0, 0, 0, 0)
        column.addLayout(bar)
        column.addWidget(self.head, 1)
        self.set_content(content)

    def use(self, theme: Theme) -> None:
        """Take on the colours of `theme`."""
        super().use(theme)
        self.head.use(theme)

    def refresh(self) -> None:
        """Add the segments that are complete."""
        described = self.link.samples.info
        if described is None or not self._known(described):
            return
        read = self._reading.next()
        if read is None:
            return
        info, data, anew = read
        if anew or self._spectrum is None:
            self._begin(info)
        assert self._spectrum is not None
        if self._places and self._spectrum.push(data[:, list(self._places)]):
            self._draw()

    def _known(self, info: StreamInfo) -> bool:
        """Whether positions can be had at once: MNE takes a second to import, so a thread does."""
        if all(name in info.positions for name in info.ch_names):
            return True
        if self._reader is None:
            self._reader = Thread(target=montage_positions, args=(MONTAGE,), daemon=True)
            self._reader.start()
        return not self._reader.is_alive()

    def _begin(self, info: StreamInfo) -> None:
        self._names = info.ch_names
        self._places = {
            i: place
            for i, name in enumerate(info.ch_names)
            if info.ch_types[i] == "eeg"
            and (place := info.positions.get(name) or in_montage(name, MONTAGE)) is not None
        }
        self._spectrum = RunningSpectrum(info.sfreq, max(1, len(self._places)), n_segments=3)
        self._place()

    def set_bads(self, bads: frozenset[str]) -> None:
        """Leave these channels out of the map: what they measure is not the brain's."""
        self._bads = bads
        if self._places:
            self._place()
            self._draw()

    def _place(self) -> None:
        """Make the map of the electrodes that are good."""
        self._good = [k for k, i in enumerate(self._places) if self._names[i] not in self._bads]
        at, columns = list(self._places.values()), list(self._places)
        self.trouble.clear()
        try:
            head = HeadMap([at[k] for k in self._good], N_PIXELS)
            self.head.place(head, [self._names[columns[k]] for k in self._good])
        except ValueError as error:
            self._good = []
            self.head.clear()
            self.trouble.setText(f"no map: {error}; rename channels to labels of the 10-05 system")

    def _draw(self) -> None:
        psd = None if self._spectrum is None else self._spectrum.psd
        if self._spectrum is None or psd is None or not self._good:
            return
        low, high = list(BANDS_HZ.values())[self.band.currentIndex()]
        power = band_power(self._spectrum.freqs, psd, low, high)[self._good]
        self.head.show_values(10 * np.log10(np.maximum(power, 1e-6)), "dB µV²")


class Head(QWidget):
    """The map with the outline of a head, its electrodes, and a bar of its colours."""

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self._theme = theme
        self._map: HeadMap | None = None
        self._names: list[str] = []
        self._image: QImage | None = None
        self._limits = (0.0, 0.0)
        self._unit = ""
        self._table = np.ascontiguousarray(colour_table()[:, ::-1])  # blue, green, red
        self.setMinimumSize(150, 130)

    def use(self, theme: Theme) -> None:
        """Take on the colours of `theme`."""
        self._theme = theme
        self.update()

    def place(self, head: HeadMap, names: list[str]) -> None:
        """Set the electrodes."""
        self._map, self._names, self._image = head, names, None

    def clear(self) -> None:
        """Show no map."""
        self._map, self._image = None, None
        self.update()

    def show_values(self, values: NDArray[np.float64], unit: str) -> None:
        """Show a value for each electrode."""
        if self._map is None:
            return
        grid = self._map(values)
        low, high = float(values.min()), float(values.max())
        self._limits, self._unit = (low, high), unit
        scaled = (grid - low) / max(high - low, 1e-9)
        step = np.nan_to_num(np.clip(scaled, 0, 1) * 255).astype(np.uint8)
        pixels = np.empty((*grid.shape, 4), np.uint8)
        pixels[..., :3] = self._table[step]
        pixels[..., 3] = np.where(self._map.inside, 255, 0)
        pixels[~self._map.inside] = 0  # premultiplied
        side = len(grid)
        image = QImage(pixels.data, side, side, 4 * side, QImage.Format.Format_ARGB32_Premultiplied)
        self._image = image.copy()  # its own memory
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802 (Qt's name)
        """Paint the map, the head around it, and what the colours mean."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
        theme = self._theme
        painter.fillRect(self.rect(), QColor(theme.ground))
        if self._map is None or self._image is None:
            painter.setPen(QColor(theme.muted))
            painter.drawText(self.rect(), Qt.AlignmentFlag.AlignCenter, "No map yet")
            return
        radius = max(20.0, min((self.width() - 84) / 2, (self.height() - 28) / 2 / 1.08)) / EDGE
        centre = QPointF((self.width() - 64) / 2, self.height() / 2 + 5)
        self._paint_map(painter, centre, radius)
        self._paint_electrodes(painter, centre, radius)
        self._paint_bar(painter)

    def _paint_map(self, painter: QPainter, centre: QPointF, radius: float) -> None:
        assert self._image is not None
        edge = EDGE * radius
        box = QRectF(centre.x() - edge, centre.y() - edge, 2 * edge, 2 * edge)
        painter.setPen(QPen(QColor(self._theme.muted), 1.5))
        painter.setBrush(QColor(self._theme.ground))
        tip, side = 1.16 * radius, 1.02 * radius
        nose = [(-0.12, side), (0.0, tip), (0.12, side)]
        painter.drawPolyline(
            QPolygonF([QPointF(centre.x() + x * radius, centre.y() - y) for x, y in nose])
        )
        for x in (-1.09, 1.09):
            painter.drawEllipse(
                QPointF(centre.x() + x * radius, centre.y()), 0.05 * radius, 0.16 * radius
            )
        path = QPainterPath()
        path.addEllipse(box)
        painter.setClipPath(path)
        painter.drawImage(box, self._image)
        painter.setClipping(False)
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.drawEllipse(box)

    def _paint_electrodes(self, painter: QPainter, centre: QPointF, radius: float) -> None:
        assert self._map is not None
        font = QFont(painter.font())
        font.setPixelSize(max(8, min(12, round(radius / 11))))
        painter.setFont(font)
        apart = np.hypot(*(self._map.xy[:, None] - self._map.xy).transpose(2, 0, 1))
        nearest = float(np.quantile((apart + 9 * np.eye(len(apart))).min(axis=1), 0.25))
        named = nearest * radius > 2.0 * font.pixelSize()
        for name, (x, y) in zip(self._names, self._map.xy.tolist(), strict=True):
            far = max(1.0, float(np.hypot(x, y)) / (EDGE - 0.04))  # below the circle: on its edge
            at = QPointF(centre.x() + x / far * radius, centre.y() - y / far * radius)
            painter.setPen(QPen(QColor("#ffffff"), 1))
            painter.setBrush(QColor("#000000"))
            painter.drawEllipse(at, 2.4, 2.4)
            if named:
                box = QRectF(at.x() - 30, at.y() + 2, 60, font.pixelSize() + 4)
                for shift, colour in ((1, "#000000"), (0, "#ffffff")):
                    painter.setPen(QColor(colour))
                    painter.drawText(
                        box.translated(shift, shift), Qt.AlignmentFlag.AlignCenter, name
                    )

    def _paint_bar(self, painter: QPainter) -> None:
        height = min(160.0, self.height() - 60.0)
        box = QRectF(self.width() - 58, (self.height() - height) / 2, 12, height)
        bar = np.empty((256, 1, 4), np.uint8)
        bar[:, 0, :3] = self._table[::-1]
        bar[..., 3] = 255
        painter.drawImage(box, QImage(bar.data, 1, 256, 4, QImage.Format.Format_RGB32))
        font = QFont(painter.font())
        font.setPixelSize(11)
        painter.setFont(font)
        painter.setPen(QColor(self._theme.text))
        low, high = self._limits
        for y, text in ((box.top(), f"{high:.1f}"), (box.bottom(), f"{low:.1f}")):
            painter.drawText(
                QRectF(box.right() + 4, y - 8, 40, 16),
                Qt.AlignmentFlag.AlignVCenter,
                text,
            )
        painter.setPen(QColor(self._theme.muted))
        painter.drawText(QRectF(self.width() - 64, box.bottom() + 12, 62, 16), self._unit)
