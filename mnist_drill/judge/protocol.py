"""What judge and submission say to each other: JSON and tensors, over a socket. Nothing that is received is executed.

A message is the lengths of its two parts, a JSON object, and tensors by name in the safetensors format.
"""

from __future__ import annotations

import json
import struct
from typing import TYPE_CHECKING

import safetensors.torch

from mnist_drill.errors import DrillError

if TYPE_CHECKING:
    import socket

    from torch import Tensor

LENGTHS = struct.Struct(">II")
MOST_JSON, MOST_TENSORS = 8 << 20, 128 << 20  # bytes that are taken of a message


class Damaged(Exception):
    """What was received is no message."""


def send(connection: socket.socket, head: dict, tensors: dict[str, Tensor] | None = None) -> None:
    """Sends a message. Raises OSError where nobody listens any more, and `DrillError` for one that is too large."""
    text = json.dumps(head).encode()
    body = safetensors.torch.save(tensors) if tensors else b""
    if len(text) > MOST_JSON or len(body) > MOST_TENSORS:
        raise DrillError("more is to be told of the network than the judge takes: it is too large")
    connection.sendall(LENGTHS.pack(len(text), len(body)) + text)
    connection.sendall(body)


def receive(connection: socket.socket) -> tuple[dict, dict[str, Tensor]]:
    """The next message. Raises EOFError at the end of the conversation, and `Damaged` for what is no message."""
    head, body = LENGTHS.unpack(_exactly(connection, LENGTHS.size))
    if head > MOST_JSON or body > MOST_TENSORS:
        raise Damaged("a message that is too long")
    text, content = _exactly(connection, head), _exactly(connection, body)
    try:
        values = json.loads(text)
        tensors = safetensors.torch.load(bytes(content)) if body else {}
    except Exception as error:  # whatever the readers raise for bytes that anybody may have written
        raise Damaged(f"{type(error).__name__}") from None
    if not isinstance(values, dict):
        raise Damaged("no object")
    return values, tensors


def _exactly(connection: socket.socket, size: int) -> bytearray:
    content = bytearray(size)
    view, there = memoryview(content), 0
    while there < size:
        count = connection.recv_into(view[there:])
        if not count:
            raise EOFError
        there += count
    return content
