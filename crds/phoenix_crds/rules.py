"""Rules that span fields: the CEL expression that the API server evaluates beside the check that we evaluate.

The two stand next to each other so that a change to one is seen to miss the other; the message says what to do and is
the same wherever the rule is enforced.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, Self, TypeVar
from weakref import WeakValueDictionary

from pydantic import BaseModel, ConfigDict, model_validator
from pydantic.alias_generators import to_camel
from pydantic_core import PydanticCustomError

RULE_ERROR = "rule"


Model = TypeVar("Model", bound=BaseModel)
_GIVEN: WeakValueDictionary[frozenset[str], set[str]] = WeakValueDictionary()


@dataclass(frozen=True)  # no slots: in 3.11 `Rule[Model](…)` of a slotted frozen class fails
class Rule(Generic[Model]):
    """One rule over several fields of one object.

    `fields`: dotted paths as written in YAML, relative to the object; the first that is written is the one to blame.
    `cel`: the expression for the API server, `self` being the object with its defaults applied.
    `message`: what must hold and what to do.
    `holds`: the same rule in Python.
    """

    fields: tuple[str, ...]
    cel: str
    message: str
    holds: Callable[[Model], bool]


class Resource(BaseModel):
    """Base of every object people write: immutable, camelCase in YAML, unknown fields refused, rules checked last.

    A string below a field is its description, for `kubectl explain`, the reference and the messages of `phoenix check`.
    """

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        alias_generator=to_camel,
        hide_input_in_errors=True,
        use_attribute_docstrings=True,
        defer_build=True,  # a worker reads new parameters in a fresh process, and needs few of the models
    )
    rules: ClassVar[tuple[Rule[Any], ...]] = ()

    def model_post_init(self, _context: object, /) -> None:
        """Which fields were given is noted in each object, in a set of its own: half of what it takes in memory.
        Objects never change, so those that were given the same fields may share theirs.
        """
        given = self.__pydantic_fields_set__
        object.__setattr__(self, "__pydantic_fields_set__", _GIVEN.setdefault(frozenset(given), given))

    @model_validator(mode="after")
    def _keep_rules(self) -> Self:
        broken = [rule for rule in self.rules if not rule.holds(self)]
        if broken:
            raise PydanticCustomError(
                RULE_ERROR,
                "{message}",
                {
                    "message": "; ".join(rule.message for rule in broken),
                    "broken": [(rule.fields, rule.message) for rule in broken],
                },
            )
        return self
