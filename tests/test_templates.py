"""Every example is a template, and fits every source."""

from pathlib import Path

import pytest

from bci import config
from bci.sources.brainflow import BrainFlowSettings
from bci.sources.brainflow_boards import BOARDS, FIELDS
from bci.sources.lsl import LSLSettings
from bci.sources.replay import ReplaySettings
from bci.sources.simulated import SimulatedSettings
from bci.templates import FOLDERS, find_templates, simulated_paradigm, with_source

TEMPLATES = {t.path.stem: t for t in find_templates(FOLDERS[1:])}


def test_all_examples_are_found_and_say_what_they_are():
    assert {"imagery", "speller_simulated", "ssvep_lsl"} <= set(TEMPLATES)
    for template in TEMPLATES.values():
        assert len(template.about) > 20
        assert "Run it" not in template.about
    assert TEMPLATES["ssvep_lsl"].name == "SSVEP LSL"


def test_a_folder_of_the_user_comes_first_and_what_is_no_session_is_left_out(tmp_path):
    (tmp_path / "imagery.yaml").write_text("# Mine.\nsource: {kind: simulated}\n")
    (tmp_path / "notes.yaml").write_text("a: [")
    found = {t.path.name: t for t in find_templates([tmp_path, *FOLDERS[1:]])}
    assert found["imagery.yaml"].about == "Mine."
    assert "notes.yaml" not in found


@pytest.mark.parametrize("name", TEMPLATES)
def test_each_source_gives_a_session_that_can_be_written(name):
    template = TEMPLATES[name].config
    for source in (
        LSLSettings(),
        BrainFlowSettings(board="synthetic"),
        ReplaySettings(path=Path("recording.xdf")),
        SimulatedSettings(paradigm=simulated_paradigm(template)),
    ):
        made = with_source(template, source)
        assert config.loads(config.dump(made)) == made
        assert made.markers.kind != "lsl"
        assert made.decoder == template.decoder


def test_markers_come_from_where_there_are_some():
    imagery = TEMPLATES["imagery"].config
    assert with_source(imagery, LSLSettings(), marker_stream=True).markers.kind == "lsl"
    assert with_source(imagery, LSLSettings()).markers.kind == "none"
    assert with_source(imagery, SimulatedSettings()).markers.kind == "source"
    speller = TEMPLATES["speller_simulated"].config
    assert with_source(speller, LSLSettings()).markers.kind == "none"
    assert with_source(TEMPLATES["ssvep_lsl"].config, LSLSettings(), True).markers.kind == "none"


def test_the_simulated_subject_does_what_the_template_decodes():
    assert simulated_paradigm(TEMPLATES["imagery"].config) == "imagery"
    assert simulated_paradigm(TEMPLATES["speller_simulated"].config) == "ssvep12"


def test_boards_have_names_and_fields_that_the_source_knows():
    board_shim = pytest.importorskip("brainflow.board_shim", exc_type=Exception)
    from bci.sources.brainflow import _board_id

    ids = [_board_id(board_shim, board.name) for board in BOARDS]
    assert len(set(ids)) == len(BOARDS)
    for board in BOARDS:
        assert set(board.needs + board.may) <= set(FIELDS) <= set(BrainFlowSettings.model_fields)
        assert not set(board.needs) & set(board.may)
