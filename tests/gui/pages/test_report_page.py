"""The report page: what it says where there is no report."""

from gui.pages.report import ReportPage


def test_what_keeps_a_report_from_being_made_is_said(qtbot, tmp_path):
    page = ReportPage()
    qtbot.addWidget(page)
    page.show()
    assert not page.open.isEnabled()
    with qtbot.waitSignal(page.done, timeout=60_000):
        page.make(tmp_path / "sub-P001_ses-001_task-bci_run-001_eeg.xdf")
    assert "There is no report: bci: there is no recording" in page.state.text()
    assert not page.open.isEnabled()
