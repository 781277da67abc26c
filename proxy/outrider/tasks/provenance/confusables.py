"""Look-alikes: the skeleton by which two spellings are one to the eye.

A table of our own, of Latin, Cyrillic, Greek, Armenian and a few more letters that stand for
Latin ones in usual typefaces, and of digits; it is not Unicode's whole list (TS 39), which knows
6,000 more. What is folded comes in: lower case, NFKC.
"""

from typing import Final

_ALIKE: Final = {
    "a": "\u0430\u03b1\u0251\u1d00\u0e01",
    "b": "\u0184\u042c\u13cf\u0432\u0412\u1d03",
    "c": "\u0441\u03f2\u1d04\u2ca5\u0188",
    "d": "\u0501\u0256\u13e7\u1d05",
    "e": "\u0435\u04bd\u212f\u1d07\u0451\u03b5",
    "f": "\u017f\u03dd\u0192",
    "g": "\u0261\u0581\u1d83\u0262",
    "h": "\u04bb\u0570\u13c2\u043d\u029c",
    "i": "\u0456\u03b9\u0131\u026a\u0269\u04cf\u0457",
    "j": "\u0458\u03f3\u1d0a",
    "k": "\u043a\u03ba\u1d0b\u0138",
    "l": "1|\u04c0\u05d5\u0627\u2113\u01c0\u029f",
    "m": "\u043c\u1d0d\u03fb",
    "n": "\u0578\u057c\u03b7\u0274\u043f",
    "o": "0\u043e\u03bf\u0585\u1d0f\u0d20\u0665\u06f5\u00f8\u0275",
    "p": "\u0440\u03c1\u2ca3\u1d18",
    "q": "\u051b\u0563\u0566",
    "r": "\u0433\u1d26\u0280",
    "s": "\u0455\u01bd\ua731",
    "t": "\u0442\u03c4\u1d1b",
    "u": "\u057d\u03c5\u028b\u1d1c",
    "v": "\u03bd\u0475\u1d20\u05d8",
    "w": "\u051d\u0461\u1d21\u0561",
    "x": "\u0445\u03c7\u00d7",
    "y": "\u0443\u03b3\u04af\u028f",
    "z": "\u1d22\u01b6",
    "-": "\u2010\u2011\u2012\u2013\u2014\u2212\u02d7\u30fc",
    ".": "\u2024\u06d4\u0701\u3002",
    "/": "\u2044\u2215\u29f8",
    ":": "\u02d0\u0589\ua789",
    "'": "\u2019\u2018\u02bc\u00b4`",
}
_TABLE: Final = {ord(char): plain for plain, chars in _ALIKE.items() for char in chars} | {
    0xDF: "ss",  # which case folding takes for one, and names of hosts do not
    0x3C2: "\u03c3",
}
_ASCII: Final = bytes(
    ord(_TABLE.get(code, chr(code))) if code < 128 else code for code in range(256)
)


def skeleton(key: bytes) -> bytes:
    """What `key`, a folded text, looks like. Keys of other kinds than text have none: empty."""
    if key[:1] == b"\0" and key[:2] != b"\0o":
        return b""
    if key.isascii():
        plain = key.translate(_ASCII)
    else:
        plain = key.decode("utf-8", "replace").translate(_TABLE).encode("utf-8", "replace")
    return plain.replace(b"rn", b"m").replace(b"vv", b"w")
