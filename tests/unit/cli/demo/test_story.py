"""The story tells everything it promises."""

from pathlib import Path

from outrider.cli.demo import stage as staging
from outrider.cli.demo.story import Act, Who, story
from outrider.core.vocabulary import Effect


def test_every_act_every_client_and_each_kind_of_refusal_has_its_place(tmp_path: Path) -> None:
    steps = [
        step for scene in story(staging.set_up(tmp_path), 1_795_000_000.0) for step in scene.steps
    ]
    wants = [step.want for step in steps if step.want is not None]
    assert {step.act for step in steps} - {None} == set(Act)
    assert {step.who for step in steps} == set(Who)
    assert {want.reason.value for want in wants if want.reason} == {
        "grant",
        "policy",
        "obligation",
        "definition_changed",
        "unauthenticated",
    }
    assert all(not want.calls for want in wants if want.effect is Effect.DENY)
    assert all(want.calls for want in wants if want.effect is Effect.ALLOW)
