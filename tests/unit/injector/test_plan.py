"""A plan is a value, and its defaults are the safe ones."""

import dataclasses

import pytest

from outrider.core.capture import CaptureMode
from outrider.injector.plan import Capture, Hardening, Plan


def test_equal_plans_are_equal_and_frozen() -> None:
    plan = Plan(image="registry.example/outrider@sha256:" + "a" * 64)
    assert plan == dataclasses.replace(plan)
    with pytest.raises(dataclasses.FrozenInstanceError):
        plan.image = "other"  # type: ignore[misc]


def test_the_defaults_weaken_nothing() -> None:
    plan = Plan(image="x")
    assert plan.capture.mode is CaptureMode.TRANSPARENT
    assert plan.native_sidecar
    assert plan.trusted == ()
    assert plan.hardening is Hardening.PATCH
    assert not any(getattr(plan.exceptions, one) for one in plan.exceptions.__slots__)
    assert (Capture().skip_ports, Capture().skip_subnets) == ((), ())
