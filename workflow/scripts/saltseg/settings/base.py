"""What a section of the configuration is, and what a key of it says about itself."""

import ast
import os.path
from collections.abc import Iterable
from itertools import chain
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, get_args

import yaml
from pydantic import AfterValidator, BaseModel, Field, model_validator
from pydantic_core import PydanticCustomError, core_schema

Text = Annotated[str, Field(min_length=1)]
# A shell expands ~ in words that begin with it, but not in a file of settings.
HomePath = Annotated[Text, AfterValidator(os.path.expanduser)]
FilePath = Annotated[HomePath, Field(json_schema_extra={"format": "path"})]
NULLS = ("null", "none", "~")
Seed = Annotated[int, Field(ge=0, le=2**32 - 1)]


class Section(
    BaseModel, strict=True, frozen=True, extra="forbid", allow_inf_nan=False, validate_default=True
):
    """A section of the configuration; its first line becomes a comment in config.yaml.

    Reading a key that a stage was not given raises AttributeError.

    reruns: what a change of its keys reruns, except for those that say otherwise
    """

    reruns: ClassVar[str] = ""

    @model_validator(mode="before")
    @classmethod
    def read_values(cls, values: Any) -> Any:
        """Read numbers and the like from text, as which `--config` and YAML's 1e-3 pass them."""
        if not isinstance(values, dict):
            return values
        fields = cls.model_fields
        return {
            name: read_value(value, fields[name].annotation) if name in fields else value
            for name, value in values.items()
        }

    # Hidden from type checkers, to which it would mean that any name exists.
    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            if name in type(self).model_fields:
                raise AttributeError(
                    f"{type(self).__name__}.{name} was not passed to this stage; name the key in "
                    "settings(...) of its rule"
                )
            return super().__getattr__(name)


def key(
    default: Any, description: str, *, reruns: str = "", advanced: bool = False, **bounds: Any
) -> Any:
    """Declare a key.

    Args:
        description: its beginning, up to the first semicolon, colon or full stop, becomes the
            comment in config.yaml.
        reruns: what a change reruns, unless it is as for the rest of the section.
        advanced: whether few users ever need the key.
        bounds: constraints of pydantic, such as ``ge`` and ``max_length``.
    """
    notes: dict[str, Any] = {"x-reruns": reruns, "x-advanced": advanced}
    extra = {name: value for name, value in notes.items() if value}
    return Field(default, description=description, json_schema_extra=extra, **bounds)


def read_value(value: Any, annotation: Any) -> Any:
    """Return a value, or each of a list, read from its text unless the key takes text."""
    if isinstance(value, list):
        return [read_value(each, annotation) for each in value]
    read = read_scalar(value) if isinstance(value, str) else value
    return value if read is not None and takes_text(annotation) else read


def read_scalar(text: str) -> Any:
    """Return the number, truth value or null that a text says; otherwise the text itself."""
    for reader in (ast.literal_eval, yaml.safe_load):
        try:
            read = reader(text)
        except (ValueError, SyntaxError, RecursionError, MemoryError, yaml.YAMLError):
            continue
        if isinstance(read, (int, float)) or text.strip().lower() in NULLS:
            return read
    return text


def takes_text(annotation: Any) -> bool:
    """Return whether a key of a type may have text for a value."""
    return annotation is str or any(map(takes_text, get_args(annotation)))


# Of a key that takes a text or a section of keys; in the places of errors, which name neither.
TEXT, KEYS = "<text>", "<keys>"


def text_or_keys(value: Any) -> str:
    """Return which of both a value is."""
    return KEYS if isinstance(value, (dict, Section)) else TEXT


class OneOf:
    """The names in registries, as they are when a value is checked, as the values of a key."""

    def __init__(self, *registries: Iterable[str]):
        self.registries = registries

    @property
    def names(self) -> list[str]:
        """All names, in the order of the registries."""
        return list(chain.from_iterable(self.registries))

    def check(self, value: Any) -> Any:
        """Return a value; PydanticCustomError if it is no name."""
        if value not in self.names:
            raise PydanticCustomError("literal_error", "expected a name in a registry")
        return value

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> core_schema.CoreSchema:
        return core_schema.no_info_plain_validator_function(self.check)

    def __get_pydantic_json_schema__(self, schema: Any, handler: Any) -> dict:
        return {"enum": self.names, "type": "string"}
