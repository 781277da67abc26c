"""What STYLE §3 asks of every module of `core.ports`: small seams, frozen values, one import."""

from collections.abc import Iterator
from dataclasses import is_dataclass
from inspect import isfunction
from types import ModuleType

from outrider.core import ports

MOST_METHODS = 4


def breaches(module: ModuleType) -> list[str]:
    """One line for each port, value or function of `module` that keeps less than the law."""
    own = [
        (name, found)
        for name, found in vars(module).items()
        if getattr(found, "__module__", "") == module.__name__
    ]
    return [f"{name}: {fault}" for name, found in own for fault in _faults(name, found)]


def _faults(name: str, found: object) -> Iterator[str]:
    if name not in ports.__all__ or getattr(ports, name) is not found:
        yield "is not had from outrider.core.ports"
    if not isinstance(found, type):
        return
    if getattr(found, "_is_protocol", False):
        methods = [key for key, value in vars(found).items() if _is_own_method(key, value)]
        if len(methods) > MOST_METHODS:  # rule 18
            yield f"has {len(methods)} methods"
    elif not is_dataclass(found):
        yield "is neither a port nor a value"
    else:
        made = found.__dataclass_params__  # type: ignore[attr-defined]
        keywords = all(item.kw_only for item in found.__dataclass_fields__.values())
        if not (made.frozen and "__slots__" in vars(found) and keywords):  # rule 9
            yield "is not frozen, slotted and keyword-only"


def _is_own_method(key: str, value: object) -> bool:
    return isfunction(value) and key not in {"__init__", "__subclasshook__"}  # typing's own
