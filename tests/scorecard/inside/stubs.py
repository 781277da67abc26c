"""Empty stand-ins for what AgentDojo imports only to talk to models or terminals.

Any attribute of a stand-in is a class that can be called, subclassed, subscripted and used as a
decorator, so AgentDojo's modules import; nothing of it does anything.
"""

import importlib.abc
import importlib.machinery
import sys
import types
from typing import Any, Final

STUBBED: Final = frozenset(
    {
        "anthropic",
        "click",
        "cohere",
        "dotenv",
        "google",
        "langchain",
        "openai",
        "requests",
        "rich",
        "tenacity",
        "torch",
        "transformers",
    }
)


class _Meta(type):
    def __getattr__(cls, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return _stand_in(name)

    def __or__(cls, other: object) -> Any:
        return Any

    __ror__ = __or__


class _Base(metaclass=_Meta):
    def __init__(self, *_: object, **__: object) -> None: ...

    def __call__(self, *given: Any, **_: object) -> Any:
        return given[0] if given else self

    def __class_getitem__(cls, _: object) -> Any:
        return cls

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return _stand_in(name)()


def _stand_in(name: str) -> Any:
    return _Meta(name, (_Base,), {})


class _Module(types.ModuleType):
    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return _stand_in(name)


class _Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    def find_spec(self, name: str, *_: object) -> importlib.machinery.ModuleSpec | None:
        if name.partition(".")[0] not in STUBBED:
            return None
        return importlib.machinery.ModuleSpec(name, self, is_package=True)

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> types.ModuleType:
        return _Module(spec.name)

    def exec_module(self, module: types.ModuleType) -> None: ...


def install() -> None:
    """From here on the stubbed names import as stand-ins. To be called before `agentdojo`."""
    if not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Finder())
