"""Asking for a file without holding up the rest: a run may be going on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QFileDialog, QWidget

__all__ = ["ask_file"]


def ask_file(
    parent: QWidget,
    title: str,
    done: Callable[[Path], None],
    *,
    kinds: str = "",
    save_as: str | None = None,
    folder: str = "",
) -> QFileDialog:
    """Show a dialog beside the window; `done` gets the file, if one is chosen.

    Parameters
    ----------
    parent : QWidget
    title : str
    done : callable
    kinds : str
        Which files, as Qt names them: ``Session (*.yaml)``.
    save_as : str or None
        Name that is proposed for a new file; None: one that is there is opened.
    folder : str
        Where to look first.
    """
    dialog = QFileDialog(parent, title, folder, kinds)
    dialog.setModal(False)
    dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
    if save_as is None:
        dialog.setFileMode(QFileDialog.FileMode.ExistingFile)
    else:
        dialog.setAcceptMode(QFileDialog.AcceptMode.AcceptSave)
        dialog.setDefaultSuffix(Path(save_as).suffix.removeprefix("."))
        dialog.selectFile(save_as)
    dialog.fileSelected.connect(lambda name: done(Path(name)))
    dialog.show()
    return dialog
