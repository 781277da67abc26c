"""One pod for a whole file, its rules and proxy as a test before left them."""

from collections.abc import Iterator

import pytest

from outrider.core.capture import CaptureMode
from tests.support.debian import UnavailableError
from tests.support.pod import Pod, a_pod


@pytest.fixture(scope="module", name="bare")
def _bare() -> Iterator[Pod]:
    try:
        with a_pod() as pod:
            yield pod
    except UnavailableError as why:
        pytest.skip(str(why))


@pytest.fixture(name="pod")
def _pod(bare: Pod) -> Pod:
    """Captured in mode `transparent`, with a proxy that serves; the world has heard nothing."""
    bare.load(CaptureMode.TRANSPARENT).checked()
    if bare.proxy is None:
        bare.start_proxy(CaptureMode.TRANSPARENT)
    bare.silence()
    return bare
