"""What a network is judged by: budget, accuracy, epochs, parts, and the limits that its process runs under."""

from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path

from mnist_drill.errors import DrillError, unknown
from mnist_drill.storage.files import dataclass_of, read_toml

BATCH_NORM, DROPOUT = "batch norm", "dropout"
GLOBAL_POOL, FULLY_CONNECTED = "global average pooling", "fully connected layer"
PARTS = (BATCH_NORM, DROPOUT, GLOBAL_POOL, FULLY_CONNECTED)
EITHER = " or "  # between two parts of which one is enough
MOST_SEEDS = 100
LARGEST_DRAWN_SEED = 2**31 - 1
LARGEST_LIMIT = 1_000_000  # which means none: eleven days, or a petabyte of memory


@dataclass(frozen=True)
class Limits:
    """What a process of the submission may use. A process that takes more is ended, and the reason noted."""

    seconds_to_examine: float = 60.0  # to load the file, build the network, and classify a few images
    minutes_to_train: float = 120.0  # for one training
    memory_gb: float = 4.0  # beyond what Python and torch take themselves
    processes: int = 16
    output_kb: int = 1_000  # printed, in all


@dataclass(frozen=True)
class Rules:
    """The rules of a drill. Raises `DrillError` for values that cannot be judged by."""

    name: str = "drill"
    parameters_below: int = 10_000
    accuracy: float = 99.4  # percent, that each of the last epochs reaches at every seed
    last: int = 5  # how many of the last epochs
    epochs: int = 15  # at most, of a recipe
    seeds: int = 3
    required: tuple[str, ...] = ()  # of `PARTS`; "A or B" asks for one of them
    forbidden: tuple[str, ...] = ()  # of `PARTS`
    shift_drop: float = 10.0  # points that accuracy may lose when test images are moved by one pixel
    limits: Limits = field(default_factory=Limits)

    def __post_init__(self):
        for key in ("parameters_below", "last", "epochs", "seeds"):
            if getattr(self, key) < 1:
                raise DrillError(f"{key} = {getattr(self, key)}: choose a number from 1")
        if self.seeds > MOST_SEEDS:
            raise DrillError(f"seeds = {self.seeds}: choose at most {MOST_SEEDS}")
        for key in ("accuracy", "shift_drop"):
            if not 0 <= getattr(self, key) <= 100:
                raise DrillError(f"{key} = {getattr(self, key)}: choose percent, from 0 to 100")
        for key in ("required", "forbidden"):
            for part in getattr(self, key):
                for name in part.split(EITHER) if isinstance(part, str) else [part]:
                    if name not in PARTS:
                        raise unknown(f"part in {key},", str(name), PARTS)
        for part in self.required:
            if all(name in self.forbidden for name in part.split(EITHER)):
                raise DrillError(f"{part} is required and forbidden: choose one")
        for key, value in asdict(self.limits).items():
            if not 0 < value < LARGEST_LIMIT:
                raise DrillError(f"{key} = {value}: choose a number above 0 and below {LARGEST_LIMIT:,}")

    @classmethod
    def from_dict(cls, values: dict) -> "Rules":
        """From plain data, as `dataclasses.asdict` makes it. Raises TypeError for a value of a wrong type."""
        values = dict(values)
        for key in ("required", "forbidden"):
            if key in values:
                if not isinstance(values[key], list | tuple):
                    raise TypeError(f"{key} is {values[key]!r}, not a list")
                values[key] = tuple(values[key])
        if "limits" in values:
            values["limits"] = dataclass_of(Limits, values["limits"])
        return dataclass_of(cls, values)


PRESETS = {
    rules.name: rules
    for rules in (
        Rules(),
        Rules(
            name="classic",
            parameters_below=20_000,
            epochs=20,
            required=(BATCH_NORM, DROPOUT, f"{GLOBAL_POOL}{EITHER}{FULLY_CONNECTED}"),
        ),
    )
}


def read_rules(name: str) -> Rules:
    """The rules of that name, or those in a TOML file: `preset`, by default drill, and what differs from it.

    Raises `DrillError`, which names the file and the key, for an unknown name or key and for an impossible value.
    """
    if name in PRESETS:
        return PRESETS[name]
    path = Path(name)
    if path.suffix != ".toml":
        raise unknown("rules", name, PRESETS, f"{', '.join(PRESETS)}, or a TOML file")
    values = read_toml(path)
    preset = values.pop("preset", "drill")
    if not isinstance(preset, str) or preset not in PRESETS:
        raise unknown(f"preset in {path},", str(preset), PRESETS)
    base = PRESETS[preset]
    limits = values.pop("limits", {})
    if not isinstance(limits, dict):
        raise DrillError(f"{path}: limits is a table, not {limits!r}")
    _check_keys(path, values, Rules)
    _check_keys(path, limits, Limits)
    try:
        changed = {**asdict(base), "name": path.stem, **values, "limits": {**asdict(base.limits), **limits}}
        return Rules.from_dict(changed)
    except TypeError as error:
        raise DrillError(f"{path}: {error}, which is not of its type") from None
    except DrillError as error:
        raise DrillError(f"{path}: {error}") from None


def with_seeds(rules: Rules, seeds: int | None) -> Rules:
    """The rules with another number of seeds, if one is given."""
    return rules if seeds is None else replace(rules, seeds=seeds)


def _check_keys(path: Path, values: dict, kind: type) -> None:
    known = [each.name for each in fields(kind)]
    for key in values:
        if key not in known:
            raise unknown(f"key in {path},", key, known)
