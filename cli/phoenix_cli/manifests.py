"""Manifests as commands take them: the option that names them, and what they hold where nothing is wrong with it."""

import argparse
from collections.abc import Iterable
from pathlib import Path

from phoenix_crds import InvalidResourceError, Severity, check_together, load_manifests
from phoenix_crds.manifests import Loaded


def add_filename(parser: argparse.ArgumentParser) -> None:
    """`-f PATH…`, as `paths`."""
    parser.add_argument(
        "-f",
        "--filename",
        dest="paths",
        metavar="PATH",
        action="extend",
        nargs="+",
        required=True,
        help="manifests of makers and their accounts: files, directories, - for standard input",
    )


def load_valid(paths: Iterable[str | Path]) -> Loaded:
    """Raises `InvalidResourceError` with all that `phoenix check` finds wrong; what it warns of is for there."""
    loaded = load_manifests(paths)
    problems = [*loaded.problems, *check_together(loaded)]
    errors = tuple(problem for problem in problems if problem.severity is Severity.ERROR)
    if errors:
        raise InvalidResourceError(errors)
    return loaded
