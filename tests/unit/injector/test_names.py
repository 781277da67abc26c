"""Names: unique, short enough for Kubernetes, and every annotation described."""

import pytest

from outrider.injector.names import (
    ANNOTATIONS,
    INGRESS_PORT_NAME,
    NET_INIT,
    SIDECAR,
    TELEMETRY_PORT_NAME,
    VERIFY,
    VOLUMES,
    Annotation,
    annotation_table,
)
from tests.support.admission_shapes import PAGE, page


@pytest.mark.parametrize("annotation", list(Annotation))
def test_every_annotation_is_described(annotation: Annotation) -> None:
    doc = ANNOTATIONS[annotation]
    assert doc.takes
    assert doc.does
    assert f"| `{annotation.value}` | {'guarded' if doc.guarded else 'free'} |" in (
        annotation_table()
    )


def test_nine_annotations_are_guarded_and_six_are_free() -> None:
    assert {one.value for one, doc in ANNOTATIONS.items() if not doc.guarded} == {
        "cpu-request",
        "memory-request",
        "memory-limit",
        "log-level",
        "startup-timeout",
        "shutdown-grace",
    }
    assert len(ANNOTATIONS) == 15


def test_no_annotation_gives_another_uid() -> None:
    assert not [one for one in Annotation if "uid" in one.value or "user" in one.value]


def test_port_names_have_at_most_fifteen_characters() -> None:
    assert max(len(TELEMETRY_PORT_NAME), len(INGRESS_PORT_NAME)) <= 15


def test_names_are_told_apart() -> None:
    names = [SIDECAR, NET_INIT, VERIFY, *VOLUMES]
    assert len(set(names)) == len(names)


def test_the_page_has_the_annotations_as_the_code_has_them() -> None:
    """Written anew by `python -m tests.support.admission_shapes`."""
    assert annotation_table() in PAGE.read_text()
    assert page(PAGE.read_text()) == PAGE.read_text()
