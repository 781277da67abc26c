"""The TLS suite on the other Pythons of this machine (IDENTITY §3.5)."""

import re

import pytest

from tests.support import interpreters


@pytest.mark.timeout(interpreters.SUITE_S + 10)
@pytest.mark.parametrize("version", list(interpreters.OTHERS))
def test_the_tls_suite_passes_on_every_python_here(version: str):
    if interpreters.found(version) is None:
        pytest.skip(f"no Python {version} on this machine")
    python = interpreters.ready(version)
    if python is None:
        pytest.skip(f"Python {version} is not set up: python -m tests.support.prepare")
    done = interpreters.run_suite(python)
    assert done.returncode == 0, f"{done.stdout[-4000:]}\n{done.stderr[-1000:]}"
    passed = re.search(r"(\d+) passed", done.stdout)
    assert passed is not None
    assert int(passed.group(1)) > 400
