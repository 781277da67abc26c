"""Kinds of values that several sections of the settings take, each with its range."""

from typing import Annotated

from pydantic import Field

Bytes = Annotated[int, Field(ge=1024, le=1 << 30)]
Seconds = Annotated[float, Field(ge=0.01, le=86_400)]
Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,63}$")]
