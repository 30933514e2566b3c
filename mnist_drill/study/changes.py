"""A recipe with changes to it, as a study's file writes them."""

from __future__ import annotations

from dataclasses import asdict, fields

from mnist_drill.errors import DrillError, unknown
from mnist_drill.recipes import Augmentation, Recipe, StepDecay, WarmupCosine
from mnist_drill.storage.files import dataclass_of


def changed(recipe: Recipe, changes: dict) -> Recipe:
    """The recipe with some of its settings changed.

    `augmentation` is a table of settings to change, or "none" for none at all; `schedule` a table of settings of the
    schedule that there is, or of another kind, or "constant". Raises `DrillError` for a recipe that cannot be.
    """
    changes = dict(changes)
    if "augmentation" in changes:
        changes["augmentation"] = _augmentation(recipe.augmentation, changes["augmentation"])
    if "schedule" in changes:
        changes["schedule"] = _schedule(recipe.schedule, changes["schedule"])
    return _with(recipe, changes, "recipe")


def _augmentation(augmentation: Augmentation, change: object) -> Augmentation:
    if change == "none":
        return Augmentation()
    if not isinstance(change, dict):
        raise DrillError(f'augmentation is "none" or a table of its settings, not {change!r}')
    return _with(augmentation, change, "augmentation")


def _schedule(schedule: WarmupCosine | StepDecay | None, change: object) -> WarmupCosine | StepDecay | None:
    if change == "constant":
        return None
    if not isinstance(change, dict):
        raise DrillError(f'schedule is "constant" or a table of its settings, not {change!r}')
    if schedule is None and not change:
        raise DrillError("schedule = {} changes nothing of a constant learning rate: name a setting, as {warmup = 0.2}")
    settings = {kind: {field.name for field in fields(kind)} for kind in (WarmupCosine, StepDecay)}
    for key in change:
        if not any(key in names for names in settings.values()):
            raise unknown("setting of a schedule", key, [name for names in settings.values() for name in names])
    if schedule is not None and set(change) <= settings[type(schedule)]:
        return _with(schedule, change, "schedule")
    kind = next((kind for kind, names in settings.items() if set(change) <= names), None)
    if kind is None:
        raise DrillError(f"a schedule cannot have all of {', '.join(change)}: {_kinds(settings)}")
    if kind is StepDecay and "every" not in change:
        raise DrillError("a schedule with gamma needs every, the interval between two steps as a share of the training")
    return _with(kind(every=1.0) if kind is StepDecay else kind(), change, "schedule")


def _kinds(settings: dict[type, set[str]]) -> str:
    return "; ".join(f"{kind.__name__} has {', '.join(sorted(names))}" for kind, names in settings.items())


def _with(settings: Recipe | Augmentation | WarmupCosine | StepDecay, changes: dict, what: str):
    """A dataclass with changes. Raises `DrillError` for an unknown name, and for a value of a wrong type or range."""
    kind = type(settings)
    known = [field.name for field in fields(kind)]
    for key in changes:
        if key not in known:
            raise unknown(f"setting of a {what}" if what != "augmentation" else f"setting of {what}", key, known)
    try:
        return dataclass_of(kind, {**vars(settings), **changes})
    except TypeError as error:
        raise DrillError(f"{what}: {error}, which is not of its type") from None
    except ValueError as error:
        raise DrillError(str(error)) from None


def plain(recipe: Recipe) -> dict:
    """The recipe as plain data that is equal for equal recipes: every number is a float."""

    def floats(value: object) -> object:
        if isinstance(value, dict):
            return {key: floats(each) for key, each in value.items()}
        return float(value) if isinstance(value, int) and not isinstance(value, bool) else value

    return floats(asdict(recipe))
