"""A secret that does not print itself (HARDENING §9)."""

from typing import NoReturn


class Secret:
    """Bytes that never reach a log, an exception or a copy. `reveal` is the only way out.

    `release` overwrites the bytes, best effort; a released secret reveals nothing.
    """

    __slots__ = ("_bytes",)

    def __init__(self, value: bytes | str) -> None:
        self._bytes = bytearray(value.encode() if isinstance(value, str) else value)

    def reveal(self) -> bytes:
        """The secret itself. Every call site of this name is a place to review."""
        return bytes(self._bytes)

    def release(self) -> None:
        for index in range(len(self._bytes)):
            self._bytes[index] = 0
        del self._bytes[:]

    def __repr__(self) -> str:
        return "Secret(...)"

    __str__ = __repr__

    def __format__(self, format_spec: str) -> NoReturn:
        raise TypeError("a Secret is not formatted; call reveal() where it is sent")

    def __reduce__(self) -> NoReturn:
        raise TypeError("a Secret is not pickled or copied")

    def __copy__(self) -> NoReturn:
        raise TypeError("a Secret is not pickled or copied")

    def __deepcopy__(self, memo: dict[int, object]) -> NoReturn:
        raise TypeError("a Secret is not pickled or copied")
