"""Making entries of the leaderboard: each file judged in full, and stored as soon as it is."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from mnist_drill.errors import DrillError
from mnist_drill.judge.card import card
from mnist_drill.judge.judging import judge, zygote
from mnist_drill.judge.submission import read_submission
from mnist_drill.leaderboard.entries import RULES, check_name, fault, read_entry
from mnist_drill.storage.files import ensure_writable, read_text, write_atomically

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from mnist_drill.judge.rules import Rules


def add(
    files: Sequence[Path], folder: Path, rules: Rules = RULES, *, tell: Callable[[str], object] = print, **options
) -> bool:
    """Judges each file, by `judging.judge` with these options, and writes report and file to the folder.

    One that is there already, with the same content, is not judged again. Returns whether each is an entry now. Raises
    `DrillError` for a file that cannot be read, and for a name that another network has.
    """
    for file in files:
        if file.suffix != ".py":
            raise DrillError(f"{file}: an entry is made from a Python file, NAME.py")
        check_name(file)
        read_submission(file)
        _raise_if_taken(file, folder / file.name)
    if len({file.stem for file in files}) < len(files):
        raise DrillError(f"{', '.join(map(str, files))}: two of them have the same name")
    ensure_writable(folder)
    missing = []
    for file in files:
        if _is_entry(file, _report_of(file, folder), rules):
            tell(f"{file.stem} is an entry already")
        else:
            missing.append(file)
    if not missing:
        return True
    with zygote() as processes:
        return all([_add(file, folder, rules, tell, processes=processes, **options) for file in missing])


def _add(file: Path, folder: Path, rules: Rules, tell: Callable[[str], object], **options) -> bool:
    submission = replace(read_submission(file), file=file.name)  # a report names no folder of this machine
    report, path = judge(submission, rules=rules, **options), _report_of(file, folder)
    why = fault(report, rules)
    if not why and read_submission(file).source != report.source:  # what would be stored was not judged
        why = f"{file} or its recipe was changed while it was judged; add it again"
    tell(f"{card(report)}\n\n{file.stem} {f'is no entry: {why}' if why else f'is an entry: {path}'}\n")
    if not why:
        for each in (file, file.with_suffix(".toml")):
            if each.exists():
                write_atomically(folder / each.name, read_text(each))
        report.save(path)  # last: what has a report is whole
    return not why


def _report_of(file: Path, folder: Path) -> Path:
    return folder / f"{file.stem}.json"


def _is_entry(file: Path, path: Path, rules: Rules) -> bool:
    try:
        return read_entry(path, rules).report.source == read_submission(file).source
    except DrillError:
        return False


def _raise_if_taken(file: Path, target: Path) -> None:
    """Another network, or another recipe, may not be written over or taken for this one's."""
    if target.exists():
        if read_submission(target).source != read_submission(file).source:
            raise DrillError(f"{target} is another network or recipe: name {file} otherwise, or remove that entry")
    elif (left := target.with_suffix(".toml")).exists():
        recipe = file.with_suffix(".toml")
        if not recipe.exists() or read_text(recipe) != read_text(left):
            raise DrillError(f"{left} is the recipe of another network: name {file} otherwise, or remove that file")
