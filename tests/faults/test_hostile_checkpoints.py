"""Files that are given as checkpoints and are none, or worse: each is refused in one line, and none runs anything."""

import contextlib
import io
import os
import pickle
import random
import struct
import zipfile

import pytest
import torch

from mnist_drill.errors import DrillError
from mnist_drill.models import build
from mnist_drill.storage import checkpoint
from tests.faults.checkpoints import refused, saved, whole

SEED = 7


class Runs:
    """A pickle that calls a function when it is loaded by Python's own unpickler."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


def archive(files, compression=zipfile.ZIP_STORED):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", compression) as packed:
        for name, content in files.items():
            packed.writestr(name, content)
    return stream.getvalue()


def with_structure(structure):
    """A sound checkpoint in which the pickle is another one."""
    return rewritten(lambda name, content: structure if name.endswith("data.pkl") else content)


def rewritten(change, content=None, **options):
    with zipfile.ZipFile(io.BytesIO(content or saved(whole()))) as sound:
        return archive({name: change(name, sound.read(name)) for name in sound.namelist()}, **options)


def replaced(old, new):
    """A sound checkpoint in whose pickle some bytes are others."""
    structure = saved_structure()
    assert old in structure
    return with_structure(structure.replace(old, new))


def saved_structure():
    with zipfile.ZipFile(io.BytesIO(saved(whole()))) as sound:
        return sound.read("archive/data.pkl")


def weights_with(value, key="0.0.weight"):
    return saved(whole(weights={**build("stage2", 1).state_dict(), key: value}))


def calls(module, function, *arguments):
    """A pickle, opcode by opcode, that calls a function by its name."""
    pickled = b"".join(pickle.dumps(x, 0)[:-1] for x in arguments)
    return b"c" + f"{module}\n{function}\n".encode() + b"(" + pickled + b"tR."


def lies_about_length(**entry):
    """A stored file whose directory says that it is larger."""
    content = bytearray(saved(whole()))
    place = content.rfind(b"PK\x01\x02")
    struct.pack_into("<I", content, place + 24, 1 << 31)
    return bytes(content)


def overlapping():
    """Many files that share the same content, so that together they are larger than the archive."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as packed:
        packed.writestr("archive/data/0", bytes(1 << 20))
        (first,) = packed.infolist()
        for number in range(1, 4000):
            copy = zipfile.ZipInfo(f"archive/data/{number}")
            copy.file_size = copy.compress_size = first.file_size
            copy.CRC, copy.header_offset = first.CRC, first.header_offset
            packed.filelist.append(copy)
            packed.NameToInfo[copy.filename] = copy
        packed._didModify = True
    return stream.getvalue()


def nested(depth):
    return b"\x80\x02" + b"]" * depth + b"a" * (depth - 1) + b"."


def jit():
    stream = io.BytesIO()
    torch.jit.save(torch.jit.trace(torch.nn.Linear(2, 2), torch.zeros(1, 2)), stream)
    return stream.getvalue()


def unsafe(canary):
    command = f"touch {canary}"
    return {
        "system": saved(whole(more=Runs(os.system, command))),
        "system in place of weights": saved(Runs(os.system, command)),
        "eval": saved(whole(weights=Runs(eval, f"open({str(canary)!r}, 'w')"))),
        "exec": saved(whole(network=Runs(exec, f"open({str(canary)!r}, 'w')"))),
        "open": saved(whole(format=Runs(open, str(canary), "w"))),
        "a bare pickle": pickle.dumps(Runs(os.system, command)),
        "an old pickle of torch": saved(whole(more=Runs(os.system, command)), _use_new_zipfile_serialization=False),
        "opcodes of os": with_structure(calls("posix", "system", command)),
        "opcodes of subprocess": with_structure(calls("subprocess", "check_output", ["touch", str(canary)])),
        "opcodes of builtins": with_structure(calls("builtins", "exec", f"open({str(canary)!r}, 'w')")),
        "opcodes of torch": with_structure(calls("torch", "save", 1, str(canary))),
        "opcodes of torch.hub": with_structure(
            calls("torch.hub", "download_url_to_file", "file:///dev/null", str(canary))
        ),
        "an instance": with_structure(b"(S'touch " + str(canary).encode() + b"'\niposix\nsystem\n."),
        "a network as a whole": saved(build("stage2", 1)),
    }


DAMAGED = {
    "empty": lambda: b"",
    "text": lambda: b"not a checkpoint\n" * 100,
    "zeros": lambda: bytes(100_000),
    "noise": lambda: random.Random(SEED).randbytes(100_000),
    "half of one": lambda: saved(whole())[: len(saved(whole())) // 2],
    "without its end": lambda: saved(whole())[:-22],
    "its end alone": lambda: saved(whole())[-200:],
    "an archive of text": lambda: archive({"readme.txt": "hello"}),
    "an empty archive": lambda: archive({}),
    "compressed": lambda: rewritten(lambda name, content: content, compression=zipfile.ZIP_DEFLATED),
    "a bomb of zeros": lambda: rewritten(
        lambda name, content: bytes(1 << 28) if name.endswith("/0") else content, compression=zipfile.ZIP_DEFLATED
    ),
    "a bomb of shared content": overlapping,
    "a length that is none": lies_about_length,
    "a structure of megabytes": lambda: with_structure(nested(5_000_000)),
    "a deep structure": lambda: with_structure(nested(1_000_000)),
    "a string without end": lambda: with_structure(b"\x80\x02X\xff\xff\xff\x7fabc"),
    "a huge bytearray": lambda: with_structure(calls("builtins", "bytearray", 10**11)),
    "two structures": lambda: archive({"a/data.pkl": saved_structure(), "b/data.pkl": saved_structure()}),
    "a storage that is missing": lambda: replaced(b"X\x01\x00\x00\x000", b"X\x01\x00\x00\x00Z"),
    "a storage that ends before its tensor": lambda: rewritten(
        lambda name, content: content[:4] if name.endswith("data/5") else content
    ),
    "a script": jit,
    "no dictionary": lambda: saved([1, 2, 3]),
    "a number": lambda: saved(1.5),
}

FOREIGN = {
    "another format": lambda: saved(whole(format=99)),
    "a format that is a tensor": lambda: saved(whole(format=torch.zeros(3))),
    "an unknown network": lambda: saved(whole(network="stage9")),
    "a network's name of a megabyte": lambda: saved(whole(network="x" * 1_000_000)),
    "a network that is a number": lambda: saved(whole(network=4)),
    "a network without a name": lambda: saved({"format": 1, "weights": {}}),
    "another network's weights": lambda: saved(whole(network="stage1")),
    "weights of a large network that are not there": lambda: saved(whole(network="regnet_y_128gf")),
    "changes that are a list": lambda: saved(whole(changes=[1])),
    "unknown changes": lambda: saved(whole(network="resnet18", changes={"weights": "DEFAULT"})),
    "changes to a stage": lambda: saved(whole(changes={"norm": True})),
    "images of a billion pixels": lambda: saved(whole(network="vit_b_16", changes={"side": 1 << 30})),
    "weights that are a list": lambda: saved(whole(weights=[torch.zeros(2)])),
    "no weights": lambda: saved(whole(weights={})),
    "an unexpected key": lambda: weights_with(torch.zeros(3), "more"),
    "a weight by a number": lambda: weights_with(torch.zeros(3), 5),
    "a weight of another shape": lambda: weights_with(torch.zeros(16, 1, 3, 4)),
    "a weight that says it is large": lambda: weights_with(torch.zeros(1).expand(1 << 40)),
    "a weight of another type": lambda: weights_with(torch.zeros(16, 1, 3, 3, dtype=torch.float64)),
    "a complex weight": lambda: weights_with(torch.zeros(16, 1, 3, 3, dtype=torch.complex64)),
    "a sparse weight": lambda: weights_with(torch.zeros(16, 1, 3, 3).to_sparse()),
    "a weight without values": lambda: weights_with(torch.zeros(16, 1, 3, 3, device="meta")),
    "a weight that is a word": lambda: weights_with("heavy"),
}  # fmt: skip


@pytest.mark.parametrize("kind", unsafe(""))
def test_nothing_in_a_file_is_run(kind, tmp_path):
    canary = tmp_path / "canary"
    (tmp_path / "stage2.pt").write_bytes(unsafe(canary)[kind])
    refused(tmp_path / "stage2.pt")
    assert not canary.exists()


def test_the_same_pickles_run_where_nobody_looks(tmp_path):
    # Otherwise the test above could not fail.
    for kind in ("system", "eval", "open", "opcodes of os", "opcodes of subprocess"):
        canary = tmp_path / kind.replace(" ", "-")
        (tmp_path / "stage2.pt").write_bytes(unsafe(canary)[kind])
        with contextlib.suppress(Exception):  # what comes back is no checkpoint, but it ran
            torch.load(tmp_path / "stage2.pt", weights_only=False)
        assert canary.exists(), kind


@pytest.mark.parametrize("kind", DAMAGED)
def test_what_is_damaged_or_no_checkpoint_is_refused(kind, tmp_path):
    (tmp_path / "stage2.pt").write_bytes(DAMAGED[kind]())
    refused(tmp_path / "stage2.pt")


@pytest.mark.parametrize("kind", FOREIGN)
def test_what_does_not_fit_the_network_that_it_names_is_refused(kind, tmp_path):
    (tmp_path / "stage2.pt").write_bytes(FOREIGN[kind]())
    refused(tmp_path / "stage2.pt")


def test_what_is_no_file_is_refused(tmp_path):
    (tmp_path / "folder.pt").mkdir()
    os.mkfifo(tmp_path / "pipe.pt")
    (tmp_path / "loop.pt").symlink_to(tmp_path / "loop.pt")
    for name in ("folder.pt", "pipe.pt", "missing.pt", "loop.pt"):
        refused(tmp_path / name)


def test_a_flipped_bit_is_found_or_changes_nothing(tmp_path):
    sound = saved(whole())
    path = tmp_path / "stage2.pt"
    draw = random.Random(SEED)
    found = 0
    for _ in range(200):
        flipped = bytearray(sound)
        flipped[draw.randrange(len(sound))] ^= 1 << draw.randrange(8)
        path.write_bytes(flipped)
        try:
            model, _ = checkpoint.load(path)
        except DrillError:
            found += 1
            continue
        same = whole()["weights"]
        assert all(torch.equal(value, same[key]) for key, value in model.state_dict().items())
    assert found > 50


def test_a_file_cut_anywhere_is_refused(tmp_path):
    sound = saved(whole())
    path = tmp_path / "stage2.pt"
    draw = random.Random(SEED)
    for _ in range(50):
        path.write_bytes(sound[: draw.randrange(len(sound))])
        refused(path)
