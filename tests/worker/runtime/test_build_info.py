import re

from phoenix_worker.runtime import build_info
from phoenix_worker.runtime.build_info import build


def test_a_build_is_its_version_and_the_digest_of_its_source():
    assert re.fullmatch(r"[0-9][^+]*\+[0-9a-f]{12}", build())


def test_any_changed_line_is_another_build(monkeypatch, tmp_path):
    (tmp_path / "module.py").write_text("x = 1")
    package = type("package", (), {"__path__": [str(tmp_path)]})
    monkeypatch.setattr(build_info, "phoenix_worker", package)
    before = build_info._source_hash()
    assert before == build_info._source_hash()
    (tmp_path / "module.py").write_text("x = 2")
    assert build_info._source_hash() != before
