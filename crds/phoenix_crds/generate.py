"""`python -m phoenix_crds.generate ROOT`: writes what is made from the models into the repository at ROOT.

With `--check` it writes nothing, names what is not as the models have it, and ends with 1.
"""

import sys
from pathlib import Path

from phoenix_crds.definitions import DEFINITIONS, Definition, custom_resource_definition
from phoenix_crds.documents import write_document
from phoenix_crds.reference import reference

_HEAD = "# Made from the models in crds/phoenix_crds by `make generate`: change those.\n"


def definition_yaml(definition: Definition) -> str:
    """The file of one kind."""
    return _HEAD + write_document(custom_resource_definition(definition))


def generated() -> dict[str, str]:
    """The texts, by their path below the repository."""
    crds = {f"crds/{definition.plural}.yaml": definition_yaml(definition) for definition in DEFINITIONS}
    return crds | {"docs/reference.md": reference()}


def drifted(root: Path) -> list[str]:
    """The paths whose files are not as the models have them."""
    return [
        path
        for path, text in generated().items()
        if not (root / path).is_file() or (root / path).read_text(encoding="utf-8") != text
    ]


def main(arguments: list[str]) -> int:
    match arguments:
        case ["--check", root]:
            found = drifted(Path(root))
            sys.stderr.writelines(f"{path} is not as the models have it: make generate\n" for path in found)
            return 1 if found else 0
        case [root] if Path(root).is_dir():
            for path in drifted(Path(root)):
                (Path(root) / path).write_text(generated()[path], encoding="utf-8")
                sys.stderr.write(f"wrote {path}\n")
            return 0
        case _:
            sys.stderr.write("usage: python -m phoenix_crds.generate [--check] ROOT\n")
            return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
