"""Spectrogram of one channel over the last minute."""

from __future__ import annotations

import numpy as np
import pyqtgraph as pg
from PySide6.QtCore import QSignalBlocker
from PySide6.QtWidgets import QComboBox, QHBoxLayout, QLabel, QVBoxLayout, QWidget

from bci.dsp.spectrum import RunningSpectrum
from gui.docks import Dock
from gui.docks.plotting import Plot, colour_table
from gui.docks.reading import Reading
from gui.link import EngineLink
from gui.theme import Theme

__all__ = ["SpectrogramDock"]

TOP_HZ = 45.0
SEGMENT_S = 1.0
#: Segments on screen; each begins half a segment after the one before.
N_SHOWN = 120


class SpectrogramDock(Dock):
    """One column for each half second; colours reach from the 5th to the 99th percentile."""

    title = "Spectrogram"

    def __init__(self, link: EngineLink, theme: Theme) -> None:
        super().__init__(link, theme)
        self._reading = Reading(link.samples)
        self._spectrum: RunningSpectrum | None = None
        self._image: np.ndarray[tuple[int, int], np.dtype[np.float32]] | None = None
        self.channel = QComboBox()
        self.channel.setToolTip("Channel")
        self.channel.currentIndexChanged.connect(self._restart)
        self.range = QLabel()
        self.range.setObjectName("muted")
        self.plot = Plot(theme, "s before now", "Hz")
        self._item = pg.ImageItem()
        self._item.setLookupTable(colour_table())
        self.plot.addItem(self._item)
        self.plot.setXRange(-N_SHOWN * SEGMENT_S / 2, 0, padding=0)
        self.plot.setYRange(0, TOP_HZ, padding=0)
        bar = QHBoxLayout()
        bar.setContentsMargins(6, 4, 6, 0)
        bar.addWidget(self.channel)
        bar.addWidget(self.range, 1)
        content = QWidget()
        column = QVBoxLayout(content)
        column.setContentsMargins(0, 0, 0, 0)
        column.addLayout(bar)
        column.addWidget(self.plot, 1)
        self.set_content(content)

    def use(self, theme: Theme) -> None:
        """Take on the colours of `theme`."""
        super().use(theme)
        self.plot.use(theme)

    def _restart(self) -> None:
        """Begin with the seconds that are still kept of another channel."""
        self._reading = Reading(self.link.samples)
        self._spectrum = None

    def refresh(self) -> None:
        """Add the segments that are complete."""
        read = self._reading.next()
        if read is None:
            return
        info, data, anew = read
        if anew or self._spectrum is None:
            self._begin(info.ch_names, info.sfreq)
        assert self._spectrum is not None
        column = max(0, self.channel.currentIndex())
        signal, n_new = data[:, [column]], 0
        step = round(SEGMENT_S * info.sfreq / 2)
        for start in range(0, len(signal), step):  # at most one segment ends in each
            if self._spectrum.push(signal[start : start + step]):
                self._add()
                n_new += 1
        if n_new:
            self._draw()

    def _begin(self, ch_names: tuple[str, ...], sfreq: float) -> None:
        names = [self.channel.itemText(i) for i in range(self.channel.count())]
        if names != list(ch_names):
            with QSignalBlocker(self.channel):
                self.channel.clear()
                self.channel.addItems(list(ch_names))
        self._spectrum = RunningSpectrum(sfreq, 1, SEGMENT_S, n_segments=1)
        shown = int((self._spectrum.freqs <= TOP_HZ).sum())
        self._image = np.full((N_SHOWN, shown), np.nan, np.float32)

    def _add(self) -> None:
        assert self._spectrum is not None
        assert self._image is not None
        latest = self._spectrum.latest
        assert latest is not None
        self._image[:-1] = self._image[1:]
        self._image[-1] = 10 * np.log10(np.maximum(latest[: self._image.shape[1], 0], 1e-6))

    def _draw(self) -> None:
        assert self._spectrum is not None
        assert self._image is not None
        seen = self._image[np.isfinite(self._image)]
        low, high = np.percentile(seen, [5, 99]).tolist()
        self._item.setImage(self._image, autoLevels=False, levels=(low, max(high, low + 1e-3)))
        step = float(self._spectrum.freqs[1])
        self._item.setRect(
            -N_SHOWN * SEGMENT_S / 2,
            -step / 2,
            N_SHOWN * SEGMENT_S / 2,
            step * self._image.shape[1],
        )
        self.range.setText(f"{low:.0f} to {high:.0f} dB (µV²/Hz), dark to bright")
