"""Settings as a file again: what is in force, for people and for `config check` alike."""

import yaml

from outrider.config.load import dump
from outrider.config.settings import Settings
from outrider.core.jsonvalue import Json


def in_force(settings: Settings) -> Json:
    """Every setting that has a value, defaults filled in. Holds paths of secrets, never secrets."""
    return _said(dump(settings))


def as_yaml(settings: Settings) -> str:
    """The same as a settings file."""
    values = _moded(in_force(settings))
    text: str = yaml.dump(values, Dumper=_Dumper, sort_keys=False, width=100)
    return text


def _said(values: Json) -> Json:
    """Without what is not set: an empty key would say nothing, or something else."""
    if isinstance(values, dict):
        return {key: _said(value) for key, value in values.items() if value is not None}
    return values


class _Mode(int):
    """The mode of a file, for people to read."""


class _Dumper(yaml.SafeDumper):
    def ignore_aliases(self, data: object) -> bool:  # each value in full
        return True


def _octal(dumper: yaml.SafeDumper, mode: _Mode) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:int", f"0{mode:o}")


_Dumper.add_representer(_Mode, _octal)


def _moded(values: Json) -> object:
    if isinstance(values, dict):
        return {
            key: _Mode(value) if key == "unix_mode" and isinstance(value, int) else _moded(value)
            for key, value in values.items()
        }
    return values
