"""Kubernetes' quantities (`50m`, `128Mi`), as exact numbers and in one spelling of several."""

import re
from fractions import Fraction
from typing import Final

_QUANTITY: Final = re.compile(
    r"([0-9]{1,18}(?:\.[0-9]{1,9})?|\.[0-9]{1,9})"
    r"(Ki|Mi|Gi|Ti|Pi|Ei|n|u|m|k|M|G|T|P|E|[eE][+-]?[0-9]{1,2})?",
    re.ASCII,
)
_SCALES: Final = {
    "n": Fraction(1, 10**9),
    "u": Fraction(1, 10**6),
    "m": Fraction(1, 1000),
    **{name: Fraction(1000**power) for power, name in enumerate(("", "k", "M", "G", "T"))},
    "P": Fraction(1000**5),
    "E": Fraction(1000**6),
    **{
        name: Fraction(1024**power)
        for power, name in enumerate(("Ki", "Mi", "Gi", "Ti", "Pi", "Ei"), start=1)
    },
}


def amount(text: object) -> Fraction:
    """What `text` comes to. A number counts as its text. Raises `ValueError`."""
    if isinstance(text, int) and not isinstance(text, bool):
        return Fraction(text)
    found = _QUANTITY.fullmatch(text) if isinstance(text, str) else None
    if found is None:
        raise ValueError("is no quantity such as 50m or 128Mi")
    unit = found[2] or ""
    scale = _SCALES.get(unit)
    if scale is None:
        scale = Fraction(10) ** int(unit[1:])
    return Fraction(found[1] if not found[1].startswith(".") else f"0{found[1]}") * scale


def equal(one: object, other: object) -> bool:
    """Whether two quantities are the same amount; False where one is none."""
    try:
        return amount(one) == amount(other)
    except ValueError:
        return False
