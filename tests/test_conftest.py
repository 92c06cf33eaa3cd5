"""What tests/conftest.py promises: a skip under WINDTUNNEL_NO_SKIPS fails, one Ray serves the session."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from engine.host.ray_cluster import cluster

SKIPPING = {
    "a mark": '@pytest.mark.skip(reason="no such machine")\ndef test_it():\n    pass',
    "a condition": '@pytest.mark.skipif(True, reason="no such machine")\ndef test_it():\n    pass',
    "a call": 'def test_it():\n    pytest.skip("no such machine")',
    "a fixture": '@pytest.fixture\ndef m():\n    pytest.skip("no such machine")\n\ndef test_it(m):\n    pass',
    "a module": 'pytest.skip("no such machine", allow_module_level=True)',
}


@pytest.fixture(autouse=True)
def same_profile() -> Iterator[None]:
    """A session within the session loads the conftest again, and with it a profile of Hypothesis."""
    before = settings.get_current_profile_name()
    yield
    settings.load_profile(before)


@pytest.mark.parametrize("how", SKIPPING)
@pytest.mark.parametrize("no_skips", [False, True])
def test_a_skip_fails_where_nothing_may_be_left_out(
    how: str, no_skips: bool, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytester.makeconftest((Path(__file__).parent / "conftest.py").read_text(encoding="utf-8"))
    pytester.makepyfile(f"import pytest\n\n{SKIPPING[how]}")
    monkeypatch.setenv("WINDTUNNEL_NO_SKIPS", "1" if no_skips else "0")
    outcome = pytester.runpytest_inprocess("-rfEs")
    assert (outcome.ret in (pytest.ExitCode.TESTS_FAILED, pytest.ExitCode.INTERRUPTED)) == no_skips
    outcome.stdout.fnmatch_lines("*no such machine*")


def test_an_expected_failure_is_no_skip(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    pytester.makeconftest((Path(__file__).parent / "conftest.py").read_text(encoding="utf-8"))
    pytester.makepyfile('import pytest\n\n@pytest.mark.xfail(reason="known")\ndef test_it():\n    assert False')
    monkeypatch.setenv("WINDTUNNEL_NO_SKIPS", "1")
    assert pytester.runpytest_inprocess().ret == 0


def test_ray_is_shared(ray_cluster: None) -> None:
    import ray

    with cluster():
        pass
    assert ray.is_initialized()
