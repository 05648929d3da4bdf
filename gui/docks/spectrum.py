"""Power spectra of all channels, one of them in front, and its power by band."""

from __future__ import annotations

import numpy as np
from PySide6.QtCore import QSignalBlocker
from PySide6.QtWidgets import QComboBox, QHBoxLayout, QLabel, QVBoxLayout, QWidget

from bci.dsp.spectrum import BANDS_HZ, RunningSpectrum, band_power
from gui.docks import Dock
from gui.docks.plotting import Plot, pen
from gui.docks.reading import Reading
from gui.link import EngineLink
from gui.theme import Theme

__all__ = ["SpectrumDock"]

TOP_HZ = 60.0
#: A spectrum is never drawn below this, µV²/Hz: a flat channel has none.
FLOOR = 1e-4


class SpectrumDock(Dock):
    """Welch's spectrum over the newest eight seconds."""

    title = "Spectrum"

    def __init__(self, link: EngineLink, theme: Theme) -> None:
        super().__init__(link, theme)
        self._reading = Reading(link.samples)
        self._spectrum: RunningSpectrum | None = None
        self._names: tuple[str, ...] = ()
        self.channel = QComboBox()
        self.channel.setToolTip("Channel in front")
        self.channel.currentIndexChanged.connect(self._draw)
        self.bands = QLabel()
        self.bands.setObjectName("muted")
        self.bands.setWordWrap(True)
        self.plot = Plot(theme, "Hz", "µV²/Hz")
        self.plot.setLogMode(x=False, y=True)
        self.plot.setXRange(0, TOP_HZ, padding=0.01)
        self._others = self.plot.plot(connect="finite")
        self._front = self.plot.plot()
        bar = QHBoxLayout()
        bar.setContentsMargins(6, 4, 6, 0)
        bar.addWidget(self.channel)
        bar.addWidget(self.bands, 1)
        content = QWidget()
        column = QVBoxLayout(content)
        column.setContentsMargins(0, 0, 0, 0)
        column.addLayout(bar)
        column.addWidget(self.plot, 1)
        self.set_content(content)
        self.use(theme)

    def use(self, theme: Theme) -> None:
        """Take on the colours of `theme`."""
        super().use(theme)
        self.plot.use(theme)
        self._others.setPen(pen(theme.grid))
        self._front.setPen(pen(theme.accent, 2.0))

    def refresh(self) -> None:
        """Add the segments that are complete."""
        read = self._reading.next()
        if read is None:
            return
        info, data, anew = read
        if anew or self._spectrum is None:
            self._spectrum = RunningSpectrum(info.sfreq, info.n_channels)
            self._names = info.ch_names
            with QSignalBlocker(self.channel):
                chosen = self.channel.currentText()
                self.channel.clear()
                self.channel.addItems(list(self._names))
                self.channel.setCurrentText(chosen)
        if self._spectrum.push(data):
            self._draw()

    def _draw(self) -> None:
        psd = None if self._spectrum is None else self._spectrum.psd
        if self._spectrum is None or psd is None:
            return
        freqs, front = self._spectrum.freqs, self.channel.currentIndex()
        shown = (freqs > 0) & (freqs <= TOP_HZ)
        x, y = freqs[shown], np.maximum(psd[shown], FLOOR)
        breaks = np.full((1, y.shape[1]), np.nan)
        self._others.setData(
            np.tile(np.append(x, np.nan), y.shape[1]), np.concatenate([y, breaks]).T.ravel()
        )
        self._front.setData(x, y[:, front])
        powers = {name: band_power(freqs, psd, *band)[front] for name, band in BANDS_HZ.items()}
        total = sum(powers.values()) or 1.0
        self.bands.setText(
            "   ".join(f"{name} {100 * power / total:.0f} %" for name, power in powers.items())
        )
