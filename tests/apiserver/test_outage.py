"""What holds while the injector is away, and what it finds when it is back."""

from collections.abc import Iterator

import pytest

from tests.support.admission import a_pod
from tests.support.control_plane import ControlPlane
from tests.support.live_injector import (
    NAME,
    OURS,
    VALUES,
    a_chart,
    a_running_injector,
    asked,
    injected,
)
from tests.support.release import Release

pytestmark = [pytest.mark.apiserver, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def chart(plane: ControlPlane) -> Iterator[ControlPlane]:
    with a_chart(plane) as found:
        yield found


def test_an_injector_that_is_down_holds_up_agents_and_nobody_else(chart: ControlPlane) -> None:
    with a_running_injector(chart) as injector:
        injector.stop()
        told = asked(chart, a_pod())
        assert told.code != 0
        assert "failed calling webhook" in told.err
        asked(chart, a_pod(), "open").checked()
        asked(chart, a_pod(), "closed").checked()
    with a_running_injector(chart):
        assert injected(asked(chart, a_pod())) == OURS


def test_the_bundle_outlives_an_upgrade_and_the_injector_goes_on(chart: ControlPlane) -> None:
    def bundles() -> list[object]:
        found = chart.get("mutatingwebhookconfiguration", NAME)["webhooks"]
        assert isinstance(found, list)
        return [one["clientConfig"].get("caBundle") for one in found]

    with a_running_injector(chart):
        before = bundles()
        assert None not in before
        Release(plane=chart).upgrade({**VALUES, "injector": {"replicas": 3}}).checked()
        assert bundles() == before
        assert injected(asked(chart, a_pod())) == OURS


def test_with_its_configuration_deleted_the_policies_still_refuse(chart: ControlPlane) -> None:
    release = Release(plane=chart)
    chart.kubectl("delete", "mutatingwebhookconfiguration", NAME).checked()
    told = asked(chart, a_pod())
    assert told.code != 0
    assert "outrider rule 1" in told.err
    release.upgrade(VALUES).checked()
    with a_running_injector(chart):
        assert injected(asked(chart, a_pod())) == OURS
