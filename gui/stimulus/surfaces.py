"""Where frames are drawn, and how they come on the screen.

With OpenGL on a graphics card a swap of buffers waits for the screen, so that flips
are frame-locked. Software OpenGL waits for nothing and costs more than painting the
few pixels that changed, so that there, and where there is no OpenGL at all, frames
are painted into memory and paced by the clock.
"""

from __future__ import annotations

from typing import Literal, Protocol

from PySide6.QtCore import QSize
from PySide6.QtGui import (
    QBackingStore,
    QOffscreenSurface,
    QOpenGLContext,
    QPaintDevice,
    QRegion,
    QSurface,
    QSurfaceFormat,
    QWindow,
)
from PySide6.QtOpenGL import QOpenGLPaintDevice

__all__ = ["GLSurface", "RasterSurface", "Surface", "choose"]

#: Renderers that draw with the processor.
_SOFTWARE = ("llvmpipe", "softpipe", "swiftshader", "software")
_GL_RENDERER = 0x1F01


class Surface(Protocol):
    """A window's picture.

    Attributes
    ----------
    waits : bool
        Whether a flip may wait for the screen.
    keeps : bool
        Whether what was drawn stays, so that only what changes must be drawn again.
    """

    waits: bool
    keeps: bool

    def begin(self, region: QRegion) -> QPaintDevice:
        """Get ready to draw `region`."""
        ...

    def flip(self, region: QRegion) -> None:
        """Bring it on the screen; returns when it is there, as far as can be known."""
        ...


class RasterSurface:
    """Painted in memory; see `Surface`."""

    waits = False
    keeps = True

    def __init__(self, window: QWindow) -> None:
        window.setSurfaceType(QSurface.SurfaceType.RasterSurface)
        self._window = window
        self._store = QBackingStore(window)

    def begin(self, region: QRegion) -> QPaintDevice:
        """See `Surface`."""
        if self._store.size() != self._window.size():
            self._store.resize(self._window.size())
        self._store.beginPaint(region)
        return self._store.paintDevice()

    def flip(self, region: QRegion) -> None:
        """See `Surface`."""
        self._store.endPaint()
        self._store.flush(region)


class GLSurface:
    """Drawn by a graphics card, two buffers, swapped with the screen's refresh; see `Surface`."""

    waits = True
    keeps = False

    def __init__(self, window: QWindow) -> None:
        window.setSurfaceType(QSurface.SurfaceType.OpenGLSurface)
        window.setFormat(_format())
        self._window = window
        self._context = QOpenGLContext(window)
        self._context.setFormat(_format())
        self._context.create()
        self._device: QOpenGLPaintDevice | None = None

    def begin(self, region: QRegion) -> QPaintDevice:
        """See `Surface`."""
        self._context.makeCurrent(self._window)
        ratio = self._window.devicePixelRatio()
        size = QSize(round(self._window.width() * ratio), round(self._window.height() * ratio))
        if self._device is None:
            self._device = QOpenGLPaintDevice(size)
        self._device.setSize(size)
        self._device.setDevicePixelRatio(ratio)
        return self._device

    def flip(self, region: QRegion) -> None:
        """See `Surface`."""
        self._context.swapBuffers(self._window)
        self._context.functions().glFinish()  # a swap is only queued; this waits for it


def _format() -> QSurfaceFormat:
    wanted = QSurfaceFormat.defaultFormat()
    wanted.setSwapInterval(1)
    wanted.setSwapBehavior(QSurfaceFormat.SwapBehavior.DoubleBuffer)
    return wanted


def choose(window: QWindow, wanted: Literal["auto", "gl", "raster"] = "auto") -> Surface:
    """Make the surface for `window`, which must not have been shown yet."""
    if wanted == "gl" or (wanted == "auto" and _has_graphics_card()):
        return GLSurface(window)
    return RasterSurface(window)


def _has_graphics_card() -> bool:
    context, nowhere = QOpenGLContext(), QOffscreenSurface()
    nowhere.create()
    if not context.create() or not context.makeCurrent(nowhere):
        return False
    renderer = str(context.functions().glGetString(_GL_RENDERER)).lower()
    context.doneCurrent()
    return not any(name in renderer for name in _SOFTWARE)
