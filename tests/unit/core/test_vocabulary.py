from outrider.core.vocabulary import (
    CLASS_OF,
    ActionEffect,
    EffectClass,
    Sensitivity,
)


def test_sensitivities_are_ordered() -> None:
    assert [one.rank for one in Sensitivity] == [0, 1, 2, 3]
    assert CLASS_OF[ActionEffect.ADMIN] is EffectClass.EXECUTE
