"""Where a session begins: a source, a paradigm, go."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from threading import Thread

import yaml
from PySide6.QtCore import QSettings, Qt, Signal
from PySide6.QtWidgets import (
    QButtonGroup,
    QCheckBox,
    QFrame,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QListWidget,
    QListWidgetItem,
    QPushButton,
    QSpinBox,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from bci import config, registry
from bci.config import Config, Participant, Recording
from bci.errors import BciError
from bci.templates import Template, find_templates, simulated_paradigm, with_source
from gui.link import EngineLink
from gui.pages.files import ask_file
from gui.pages.sources import (
    BoardForm,
    GivenForm,
    LSLForm,
    RecordingForm,
    SimulatedForm,
    SourceForm,
)

__all__ = ["StartPage"]

#: Of the template that is chosen at first.
FIRST = "speller_simulated.yaml"


class StartPage(QWidget):
    """Choose and start.

    Parameters
    ----------
    settings : QSettings
        Where the last session is kept.
    """

    title = "Start"

    #: Start a session of this configuration (`bci.config.Config`).
    start_requested = Signal(object)
    #: Attach to the engine at this address, with this token.
    attach_requested = Signal(str, str)
    #: Watch the engine that an application has left behind; or end it.
    return_requested = Signal()
    end_requested = Signal()

    def __init__(self, settings: QSettings) -> None:
        super().__init__()
        self._settings = settings
        #: The session that runs, with what other pages changed in it (plan, offset of the markers).
        self.running: Config | None = None
        self.given = GivenForm()
        self.forms: list[SourceForm] = [
            SimulatedForm(), LSLForm(), BoardForm(), RecordingForm(), self.given,
        ]  # fmt: skip
        self.kinds = QButtonGroup(self)
        self.stack = QStackedWidget()
        self.templates = QListWidget()
        self.about = QLabel()
        self.participant = QLineEdit("P001")
        self.session = QSpinBox()
        self.record = QCheckBox("Record to the folder")
        self.folder = QLineEdit("recordings")
        self.error = QLabel()
        self.go = QPushButton("Start")
        self.again = QPushButton()
        self.left_behind = QFrame()
        self.left_behind.setObjectName("banner")
        self._left_part()
        self.left_behind.hide()
        self.attach = QPushButton("Attach")
        self.url = QLineEdit()
        self.token = QLineEdit()
        self._lay_out()
        self._importer: Thread | None = None
        self.load_templates(find_templates())
        self._show_last()

    # --- layout --------------------------------------------------------------------------------

    def _lay_out(self) -> None:
        title = QLabel("Start a session")
        title.setObjectName("title")
        self.error.setObjectName("error")
        self.error.setWordWrap(True)
        self.error.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.go.setObjectName("primary")
        self.go.setDefault(True)
        self.go.setShortcut("Ctrl+Return")
        self.go.setToolTip("Ctrl+Return")
        self.go.clicked.connect(self.start)
        self.again.clicked.connect(self.start_last)

        top = QHBoxLayout()
        top.addWidget(title, 1)
        top.addWidget(self.again)
        grid = QGridLayout()
        grid.setSpacing(12)
        grid.addWidget(_card("1  Where do samples come from?", self._source_part()), 0, 0)
        grid.addWidget(_card("2  What is it about?", self._template_part()), 0, 1)
        grid.addWidget(_card("3  Whose session, and where is it kept?", self._keep_part()), 1, 0)
        grid.addWidget(_card("Or: watch an engine that runs already", self._attach_part()), 1, 1)
        grid.setColumnStretch(0, 1)
        grid.setColumnStretch(1, 1)
        grid.setRowStretch(0, 1)
        bottom = QHBoxLayout()
        opened = QPushButton("Open settings …")
        opened.setToolTip("A session's YAML, as bci run takes it")
        opened.clicked.connect(self._open)
        saved = QPushButton("Save settings as …")
        saved.clicked.connect(self.save)
        saved.setToolTip("Of the session that runs, or of the one chosen here (Ctrl+S)")
        bottom.addWidget(opened)
        bottom.addWidget(saved)
        bottom.addWidget(self.error, 1)
        bottom.addWidget(self.go)
        page = QVBoxLayout(self)
        page.setContentsMargins(24, 16, 24, 16)
        page.setSpacing(12)
        page.addLayout(top)
        page.addWidget(self.left_behind)
        page.addLayout(grid, 1)
        page.addLayout(bottom)

    def _left_part(self) -> None:
        text = QLabel(
            "A session is still running: the application was closed without ending it. Nothing of "
            "its recording is lost."
        )
        text.setWordWrap(True)
        go_back, end = QPushButton("Return to it"), QPushButton("End it")
        go_back.clicked.connect(self.return_requested)
        end.clicked.connect(self.end_requested)
        row = QHBoxLayout(self.left_behind)
        row.addWidget(text, 1)
        row.addWidget(go_back)
        row.addWidget(end)

    def show_left_behind(self, is_there: bool) -> None:
        """Offer to return to a session that is still running; until then, none is started."""
        self.left_behind.setVisible(is_there)
        self.set_running(is_there)

    def _source_part(self) -> QVBoxLayout:
        row = QHBoxLayout()
        row.setSpacing(4)
        for number, form in enumerate(self.forms):
            button = QPushButton(form.title)
            button.setCheckable(True)
            button.setChecked(number == 0)
            self.kinds.addButton(button, number)
            row.addWidget(button)
            self.stack.addWidget(form)
            form.changed.connect(self.error.clear)
        row.addStretch()
        self.kinds.idClicked.connect(self.stack.setCurrentIndex)
        self.kinds.idClicked.connect(lambda _: self.error.clear())
        column = QVBoxLayout()
        column.addLayout(row)
        column.addWidget(self.stack, 1)
        return column

    def _template_part(self) -> QVBoxLayout:
        self.templates.setAccessibleName("Paradigms")
        self.templates.setMinimumHeight(120)
        self.templates.setWordWrap(True)
        self.templates.setSpacing(3)
        self.templates.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.templates.currentItemChanged.connect(self._show_template)
        self.about.setWordWrap(True)
        self.about.setObjectName("muted")
        column = QVBoxLayout()
        column.addWidget(self.templates, 1)
        column.addWidget(self.about)
        return column

    def _keep_part(self) -> QGridLayout:
        self.participant.setToolTip("A pseudonym of letters and digits, never a name")
        self.session.setRange(1, 999)
        self.record.setChecked(True)
        self.record.toggled.connect(self.folder.setEnabled)
        grid = QGridLayout()
        grid.addWidget(QLabel("Participant"), 0, 0)
        grid.addWidget(self.participant, 0, 1)
        grid.addWidget(QLabel("Session"), 0, 2)
        grid.addWidget(self.session, 0, 3)
        grid.addWidget(self.record, 1, 0)
        grid.addWidget(self.folder, 1, 1, 1, 3)
        grid.setColumnStretch(1, 1)
        return grid

    def _attach_part(self) -> QGridLayout:
        self.url.setPlaceholderText("http://127.0.0.1:8765")
        self.token.setPlaceholderText("token, to control it")
        self.token.setEchoMode(QLineEdit.EchoMode.Password)
        self.attach.clicked.connect(self._attach)
        self.token.returnPressed.connect(self._attach)
        grid = QGridLayout()
        grid.addWidget(QLabel("Address"), 0, 0)
        grid.addWidget(self.url, 0, 1, 1, 2)
        grid.addWidget(QLabel("Token"), 1, 0)
        grid.addWidget(self.token, 1, 1)
        grid.addWidget(self.attach, 1, 2)
        return grid

    # --- what is there -------------------------------------------------------------------------

    def load_templates(self, templates: list[Template]) -> None:
        """Offer these."""
        for template in templates:
            self.add_template(template)
            if template.path.name == FIRST and self.templates.currentItem() is None:
                self.templates.setCurrentRow(self.templates.count() - 1)
        if self.templates.currentItem() is None:
            self.templates.setCurrentRow(0)
        if not templates:
            self.about.setText("No example is found; open a session's settings below.")

    def add_template(self, template: Template) -> None:
        """Offer one more."""
        item = QListWidgetItem(f"{template.name}\n{template.about}")
        item.setToolTip(str(template.path))
        item.setData(Qt.ItemDataRole.UserRole, template)
        self.templates.addItem(item)

    def refresh(self, link: EngineLink | None) -> None:
        """Let the form that is shown take over what it found."""
        self.forms[self.stack.currentIndex()].refresh()

    def close_down(self) -> None:
        """Stop looking for streams."""
        if self._importer is not None:
            self._importer.join(30.0)
        for form in self.forms:
            form.close_down()

    def set_running(self, running: bool, session: Config | None = None) -> None:
        """One session at a time: while it runs, none can be started here.

        `session` is None where its settings are not known.
        """
        self.running = session
        for button in (self.go, self.again, self.attach):
            button.setEnabled(not running)
        self.go.setText("A session is running" if running else "Start")

    def show_error(self, text: str) -> None:
        """Say in place what keeps a session from running."""
        self.error.setText(text)

    def _show_template(self) -> None:
        template = self._template()
        self.error.clear()
        if template is not None:
            chosen = template.settings
            decoder = (chosen.get("decoder") or {}).get("kind", "none")
            window = (chosen.get("window") or {}).get("kind", "sliding")
            self.about.setText(f"decoder {decoder} · {window} windows · {template.path.name}")
            self.given.given.setText(yaml.safe_dump({"source": chosen["source"]}).strip())
            self._import(decoder)

    def _import(self, decoder: str) -> None:
        """Import the code of a decoder, which may take seconds, before the person goes on."""
        if self._importer is None or not self._importer.is_alive():
            self._importer = Thread(target=_find_decoder, args=(decoder,), daemon=True)
            self._importer.start()

    def _template(self) -> Template | None:
        item = self.templates.currentItem()
        template: Template | None = None if item is None else item.data(Qt.ItemDataRole.UserRole)
        return template

    # --- go ------------------------------------------------------------------------------------

    def chosen(self) -> Config:
        """The session as it is chosen here.

        Raises
        ------
        BciError, ValueError
            Something is missing or wrong; the message says what.
        """
        template = self._template()
        if template is None:
            raise ValueError("choose what the session is about")
        form, session = self.forms[self.stack.currentIndex()], template.config
        if form is not self.given:
            asked = {"source": form.settings(simulated_paradigm(session))}
            source = config.loads(yaml.safe_dump(asked), "source").source
            has_markers = isinstance(form, LSLForm) and form.has_markers
            session = with_source(session, source, has_markers)
        keep = None
        if self.record.isChecked():
            task = session.recording.task if session.recording else "bci"
            keep = Recording(root=Path(self.folder.text().strip() or "recordings"), task=task)
        return session.model_copy(update={"participant": self._who(), "recording": keep})

    def _who(self) -> Participant:
        name = self.participant.text().strip()
        if not (name.isascii() and name.isalnum()):
            raise ValueError("participant: a pseudonym of letters and digits, such as P001")
        return Participant(id=name, session=self.session.value())

    def start(self) -> None:
        """Ask for the session that is chosen, or say what is missing."""
        try:
            session = self.chosen()
        except (BciError, ValueError) as error:
            self.show_error(str(error))
            return
        self.error.clear()
        self.remember(session)
        self.start_requested.emit(session)

    def remember(self, session: Config) -> None:
        """Keep a session as the last one."""
        self._settings.setValue("last/session", config.dump(session))
        self._show_last()

    def start_last(self) -> None:
        """Ask for the last session again."""
        try:
            session = config.loads(str(self._settings.value("last/session", "")), "last session")
        except BciError as error:
            self.show_error(str(error))
            return
        self.error.clear()
        self.start_requested.emit(session)

    def _show_last(self) -> None:
        last = yaml.safe_load(str(self._settings.value("last/session", ""))) or {}
        self.again.setVisible(bool(last))
        if last:
            decoder = (last.get("decoder") or {}).get("kind", "recording only")
            self.again.setText(f"Last session again:  {last['source']['kind']} · {decoder}")
            self.again.setToolTip(f"participant {last['participant']['id']}")

    def _attach(self) -> None:
        url = self.url.text().strip() or self.url.placeholderText()
        if not url.startswith(("http://", "https://")):
            self.show_error(
                f"'{url}' is not an address of an engine, such as http://127.0.0.1:8765"
            )
            return
        self.error.clear()
        self.attach_requested.emit(url, self.token.text().strip())

    def _open(self) -> None:
        ask_file(self, "Open settings", self.open_file, kinds="Session (*.yaml *.yml)")

    def open_file(self, path: Path) -> None:
        """Take a session's YAML as it is: as one more template, and its source with it."""
        try:
            session = config.load(path)
        except BciError as error:
            self.show_error(str(error))
            return
        self.offer(session, path)

    def offer(self, session: Config, path: Path) -> None:
        """Offer a session with its own source, participant and recording."""
        shown = session.model_dump(mode="json", exclude_unset=True)
        self.add_template(Template(path, "Opened from a file.", shown, session))
        self.templates.setCurrentRow(self.templates.count() - 1)
        number = self.forms.index(self.given)
        self.kinds.button(number).setChecked(True)
        self.stack.setCurrentIndex(number)
        self.participant.setText(session.participant.id)
        self.session.setValue(session.participant.session)
        self.record.setChecked(session.recording is not None)
        if session.recording is not None:
            self.folder.setText(str(session.recording.root))

    def save(self) -> None:
        """Ask where to write the settings."""
        ask_file(
            self, "Save settings as", self.save_file, kinds="Session (*.yaml)",
            save_as="session.yaml",
        )  # fmt: skip

    def save_file(self, path: Path) -> None:
        """Write the session that runs, or else the one that is chosen, as `bci run` takes it."""
        try:
            session = self.running or self.chosen()
            path.write_text(config.dump(session), encoding="utf-8")
        except (BciError, ValueError, OSError) as error:
            self.show_error(str(error))


def _find_decoder(kind: str) -> None:
    with suppress(BciError):  # what is wrong is said when it is chosen
        registry.find("decoder", kind)


def _card(title: str, content: QVBoxLayout | QGridLayout) -> QFrame:
    card = QFrame()
    card.setObjectName("card")
    heading = QLabel(title)
    heading.setObjectName("heading")
    column = QVBoxLayout(card)
    column.setContentsMargins(14, 10, 14, 12)
    column.addWidget(heading)
    column.addLayout(content)
    column.setStretchFactor(content, 1)
    return card
