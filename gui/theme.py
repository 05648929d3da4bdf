"""Colours and fonts: light and dark, told apart by people of any colour vision.

The hues are those of Okabe & Ito (2008), "Color Universal Design"; on a light ground
orange and purple are darkened, so that thin lines and text keep a contrast of 3:1.
No state is told by colour alone: a word or a sign stands beside it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from PySide6.QtGui import QColor, QFont, QPalette
from PySide6.QtWidgets import QApplication

__all__ = ["DARK", "LIGHT", "Theme", "apply", "theme"]

Name = Literal["light", "dark"]


@dataclass(frozen=True, slots=True)
class Theme:
    """One set of colours, as ``#rrggbb``.

    Attributes
    ----------
    ground, panel, field : str
        Of plots, of windows, of entry fields.
    text, muted, grid : str
        Of text, of text that matters less, of lines that guide the eye.
    accent : str
        Of what is chosen, and of the one thing to do next.
    ok, warning, bad : str
        Of states; always beside a word.
    gap : str
        Ground of the time in which samples are missing.
    cycle : tuple of str
        Of channels and classes, in turn.
    """

    name: Name
    ground: str
    panel: str
    field: str
    text: str
    muted: str
    grid: str
    accent: str
    ok: str
    warning: str
    bad: str
    gap: str
    cycle: tuple[str, ...]


LIGHT = Theme(
    name="light",
    ground="#ffffff",
    panel="#f3f4f6",
    field="#ffffff",
    text="#1c1f24",
    muted="#5d6570",
    grid="#d9dde3",
    accent="#0072b2",
    ok="#007a59",
    warning="#a86a00",
    bad="#c24e00",
    gap="#f3e6d8",
    cycle=("#0072b2", "#007f5f", "#b8480a", "#9c4d80", "#8a6200", "#3b7fa8"),
)
DARK = Theme(
    name="dark",
    ground="#12151a",
    panel="#1d2127",
    field="#272c34",
    text="#e8eaed",
    muted="#9aa3af",
    grid="#333a44",
    accent="#56b4e9",
    ok="#2fbf91",
    warning="#e69f00",
    bad="#ff7f3f",
    gap="#33281c",
    cycle=("#56b4e9", "#2fbf91", "#e69f00", "#cc79a7", "#f0e442", "#7fa8ff"),
)


def theme(name: str) -> Theme:
    """Find a theme by name; light where there is none of that name."""
    return DARK if name == "dark" else LIGHT


def apply(application: QApplication, colours: Theme) -> None:
    """Let every widget have the colours of a theme."""
    application.setStyle("Fusion")  # the same on every system, and it follows the palette
    font = application.font()
    font.setStyleHint(QFont.StyleHint.SansSerif)
    application.setFont(font)
    application.setPalette(_palette(colours))
    application.setStyleSheet(_style(colours))


def _palette(c: Theme) -> QPalette:
    palette, role = QPalette(), QPalette.ColorRole
    for roles, colour in (
        ((role.Window, role.Button), c.panel),
        ((role.Base, role.ToolTipBase), c.field),
        ((role.AlternateBase,), c.panel),
        ((role.WindowText, role.Text, role.ButtonText, role.ToolTipText, role.BrightText), c.text),
        ((role.PlaceholderText, role.Mid), c.muted),
        ((role.Highlight, role.Link, role.Accent), c.accent),
        ((role.HighlightedText,), c.ground),
        ((role.Light, role.Midlight), c.field),
        ((role.Dark,), c.grid),
    ):
        for one in roles:
            palette.setColor(one, QColor(colour))
    for one in (role.WindowText, role.Text, role.ButtonText):
        palette.setColor(QPalette.ColorGroup.Disabled, one, QColor(c.muted))
    return palette


def _style(c: Theme) -> str:
    return f"""
    QMainWindow::separator {{ background: {c.grid}; width: 3px; height: 3px; }}
    QDockWidget {{ color: {c.text}; font-weight: 600; }}
    QDockWidget::title {{ background: {c.panel}; padding: 3px 6px; }}
    QToolTip {{ background: {c.field}; color: {c.text}; border: 1px solid {c.grid}; }}
    QPushButton, QToolButton, QLineEdit {{
        background: {c.field}; border: 1px solid {c.grid}; border-radius: 4px; padding: 3px 8px;
        color: {c.text};
    }}
    QToolButton {{ padding: 2px 6px; }}
    QPushButton:focus, QToolButton:focus, QLineEdit:focus {{ border-color: {c.accent}; }}
    QPushButton:hover, QToolButton:hover {{ border-color: {c.accent}; }}
    QPushButton:disabled, QToolButton:disabled {{ color: {c.muted}; }}
    QPushButton:checked, QToolButton:checked {{ background: {c.accent}; color: {c.ground}; }}
    QPushButton#primary {{
        background: {c.accent}; color: {c.ground}; border-color: {c.accent}; font-weight: 600;
        padding: 7px 20px;
    }}
    QPushButton#primary:disabled {{ background: {c.grid}; color: {c.muted}; border: none; }}
    QLabel#muted {{ color: {c.muted}; }}
    QLabel#title {{ font-size: 20px; font-weight: 600; }}
    QLabel#heading {{ font-size: 14px; font-weight: 600; }}
    QLabel#error {{ color: {c.bad}; font-weight: 600; }}
    QFrame#banner {{ background: {c.bad}; border: none; }}
    QFrame#banner QLabel {{ color: {c.ground}; font-weight: 600; }}
    QFrame#card {{ background: {c.field}; border: 1px solid {c.grid}; border-radius: 8px; }}
    QFrame#card QLabel {{ background: transparent; }}
    QTableView, QPlainTextEdit, QListView {{
        background: {c.ground}; border: 1px solid {c.grid}; color: {c.text};
        alternate-background-color: {c.panel}; gridline-color: {c.grid};
    }}
    QHeaderView::section {{
        background: {c.panel}; color: {c.muted}; border: none; padding: 3px 6px;
    }}
    """
