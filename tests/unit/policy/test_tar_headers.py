"""A tar nobody signed costs no more to refuse than it weighs."""

import gzip
import io
import tarfile

import pytest

from outrider.core.errors import ConfigError
from outrider.policy import tar_headers
from outrider.policy.archive import Packed, read_whole
from outrider.policy.tar_headers import MAX_EXTENDED

END = b"\0" * 1024


def header(name="p", size=0, kind=tarfile.REGTYPE):
    member = tarfile.TarInfo(name)
    member.size, member.type = size, kind
    return member.tobuf(tarfile.GNU_FORMAT)


def block(content):
    return content + b"\0" * (-len(content) % 512)


def extended(content, kind=tarfile.XHDTYPE):
    return header(size=len(content), kind=kind) + block(content)


def record(value, key=b"comment"):
    said = b" " + key + b"=" + value + b"\n"
    length = next(n for n in range(len(said), len(said) + 6) if n == len(b"%d" % n) + len(said))
    return b"%d" % length + said


def a_file(name="a.rego", content=b"x"):
    return header(name, len(content)) + block(content)


def negative():
    """A size below nothing, in base 256: the reader would go back for ever."""
    made = bytearray(header("a"))
    made[124:136] = b"\xff" + (-1024 & ((1 << 88) - 1)).to_bytes(11)
    made[148:156] = b" " * 8
    made[148:156] = b"%06o\0 " % sum(made)
    return bytes(made)


NO_RECORDS = {
    "digits-alone": b"1" * 4096,
    "another-space": b"10\tsize=0\n",
    "a-line-for-a-space": b"10\nsize=0\n",
    "no-newline": b"9 path=bb",
    "a-newline-too-early": b"9 path=b\nb",
    "too-short": b"8 path=b\n",
    "too-long": b"11 path=b\n",
    "longer-than-it-all": b"9999 path=b\n",
    "of-no-length": b"0 path=b\n",
    "of-no-key": b"5 =b\n",
    "of-no-value": b"8 pathb\n",
    "its-value-in-the-next": b"8 patha\n10 path=b\n",
    "six-digits": b"000014 path=b\n",
    "signed": b"+11 path=b\n",
    "something-behind": b"10 path=b\n\0",
    "spaces-behind": b"10 path=b\n    ",
    "digits-in-a-row": record(b"1" * 256),
}


def read(plain):
    return read_whole(Packed(name="b", content=gzip.compress(plain, 1)))


def written(tar_format, name):
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w", format=tar_format) as tar:
        member = tarfile.TarInfo(name)
        member.size = 1
        tar.addfile(member, io.BytesIO(b"x"))
    return plain.getvalue()


@pytest.mark.parametrize("tar_format", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT])
def test_long_names_are_read_however_they_were_written(tar_format):
    name = "/".join(["a" * 50] * 5)
    assert read(written(tar_format, name)) == {name: b"x"}


def test_headers_of_two_kinds_may_go_before_a_member():
    plain = extended(b"a\0", tarfile.GNUTYPE_LONGNAME) + extended(b"10 path=b\n") + a_file()
    assert read(plain + END) == {"a": b"x"}


def test_a_name_may_be_all_digits():
    name = "1" * 250
    assert read(written(tarfile.PAX_FORMAT, name)) == {name: b"x"}


def test_headers_of_many_members_fit():
    said = b"30 mtime=1700000000.123456789\n"
    assert len(said) == 30
    plain = b"".join(extended(said) + a_file(f"a{number}") for number in range(2000))
    assert len(read(plain + END)) == 2000


@pytest.mark.parametrize(
    ("plain", "told"),
    [
        pytest.param(extended(b"1" * 200_000) + a_file(), "more than 4096 bytes", id="digits"),
        pytest.param(
            extended(b"1" * 200_000, tarfile.XGLTYPE) + a_file(), "for all its members",
            id="for-all",
        ),
        pytest.param(
            extended(b"1" * 200_000, tarfile.SOLARIS_XHDTYPE) + a_file(), "4096", id="as-solaris"
        ),
        pytest.param(
            extended(b"a" * 5000, tarfile.GNUTYPE_LONGNAME) + a_file(), "4096", id="a-long-name"
        ),
        pytest.param(
            extended(b"a\0", tarfile.GNUTYPE_LONGNAME) * 2000 + a_file(), "in a row", id="chained"
        ),
        pytest.param(extended(b"10 path=b\n") * 3 + a_file(), "in a row", id="chained-pax"),
        pytest.param(
            extended(b"16 comment=abcd\n", tarfile.XGLTYPE) + a_file(), "for all its members",
            id="one-for-all",
        ),
        pytest.param(
            b"".join(extended(record(b"c" * 4000)) + a_file(f"a{number}") for number in range(17)),
            "more than 65536 bytes in all", id="many",
        ),
        pytest.param(
            header(size=1, kind=tarfile.XHDTYPE) + block(b"10 size=0\n")
            + header("a", 204_800) + extended(b"1" * 204_288),
            "not well-formed", id="a-length-behind-the-end",
        ),
        pytest.param(
            header(size=0, kind=tarfile.XHDTYPE) + header(size=2, kind=tarfile.GNUTYPE_LONGNAME)
            + block(b"a\0b") + a_file(),
            "not well-formed", id="a-name-behind-the-end",
        ),
        *(
            pytest.param(extended(said) + a_file(), "not well-formed", id=name)
            for name, said in NO_RECORDS.items()
        ),
        pytest.param(
            extended(b"10 size=0\n") + header(size=204_800) + extended(b"1" * 200_000),
            "length stands twice",
            id="hidden-in-a-file-of-no-length",
        ),
        pytest.param(
            header("d/", 0, tarfile.AREGTYPE)[:124] + header("d/", 204_800, tarfile.AREGTYPE)[124:]
            + extended(b"1" * 200_000),
            "more than 4096 bytes",
            id="hidden-in-an-old-folder",
        ),
        pytest.param(
            header("l", 204_800, tarfile.SYMTYPE) + extended(b"1" * 200_000), "4096 bytes",
            id="hidden-in-a-link",
        ),
        pytest.param(
            header("a", 0, tarfile.GNUTYPE_SPARSE) + a_file(), "no regular file", id="an-old-hole"
        ),
        pytest.param(a_file("b") + negative() + a_file(), "not a readable", id="back-for-ever"),
    ],
)  # fmt: skip
def test_is_refused_before_it_is_read(plain, told, monkeypatch):
    def unreached(*_args, **_named):
        raise AssertionError("the reader was asked")

    monkeypatch.setattr(tarfile, "open", unreached)
    with pytest.raises(ConfigError, match=told):
        read(plain + END)


def test_headers_are_counted():
    folders = b"".join(header(f"d{number}/", 0, tarfile.DIRTYPE) for number in range(5))
    tar_headers.check(folders + END, "b", 5)
    with pytest.raises(ConfigError, match="more than 4 headers"):
        tar_headers.check(folders + END, "b", 4)


def test_as_much_as_may_be_said_is_read():
    comment = b"c" * (MAX_EXTENDED - len("4096 comment=\n"))
    assert read(extended(b"4096 comment=" + comment + b"\n") + a_file() + END) == {"a.rego": b"x"}
