"""Mirrors that send the wrong thing, or too little, or never end: each is left for the next source, in time."""

import gzip
import socket
import struct
import threading
import time
import zlib

import pytest

from mnist_drill.storage import mnist as source

pytestmark = pytest.mark.slow

NAME = "t10k-labels-idx1-ubyte"


def ok(body, length=None, more=b""):
    return b"HTTP/1.1 200 OK\r\n%sContent-Length: %d\r\n\r\n" % (more, len(body) if length is None else length) + body


def send(content):
    return lambda connection, packed: connection.sendall(content(packed) if callable(content) else content)


def trickle(content, seconds=0.05):
    def answer(connection, packed):
        for byte in content(packed) if callable(content) else content:
            connection.sendall(bytes([byte]))
            time.sleep(seconds)

    return answer


def silent(connection, packed):
    time.sleep(30)


def endless(start):
    def answer(connection, packed):
        connection.sendall(start)
        while True:
            connection.sendall(bytes(1 << 20))

    return answer


def endless_headers(connection, packed):
    connection.sendall(b"HTTP/1.1 200 OK\r\n")
    while True:
        connection.sendall(b"X-More: 1\r\n")
        time.sleep(0.1)


def reset(connection, packed):
    connection.sendall(ok(packed)[: len(packed) // 2])
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def redirect(place):
    return send(b"HTTP/1.1 302 Found\r\nContent-Length: 0\r\nLocation: " + place + b"\r\n\r\n")


BROKEN = {
    "closes at once": send(b""),
    "says nothing": silent,
    "not HTTP": send(b"220 mail.example ESMTP\r\n"),
    "404": send(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"),
    "500": send(b"HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n"),
    "redirects to itself": redirect(b"/" + NAME.encode() + b".gz"),
    "redirects to a closed port": redirect(b"http://127.0.0.1:9/x"),
    "redirects to a file": redirect(b"file:///etc/hostname"),
    "redirects to nonsense": redirect(b"http://[::bad/"),
    "a page": send(ok(b"<html>Please log in</html>")),
    "half, and a length that says so": send(lambda packed: ok(packed[: len(packed) // 2])),
    "half, and the whole length": send(lambda packed: ok(packed[: len(packed) // 2], len(packed))),
    "a length that is too small": send(lambda packed: ok(packed, len(packed) // 2)),
    "a length that is negative": send(lambda packed: ok(packed, -5)),
    "a length that is no number": send(lambda packed: b"HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n" + packed[:99]),
    "another file": send(ok(gzip.compress(b"\0\0\x08\x01\0\0\0\x01\x05"))),
    "a flipped bit": send(lambda packed: ok(packed[:2000] + bytes([packed[2000] ^ 1]) + packed[2001:])),
    "a bomb": send(ok(gzip.compress(bytes(300_000_000), 9))),
    "a broken stream": send(ok(gzip.compress(b"x" * 1000)[:10] + b"\xff" * 200)),
    "chunks that lie": send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nFFFFFFFF\r\nabc"),
    "chunks that are none": send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\nabc"),
    "resets the connection": reset,
    "trickles the body": trickle(ok),
    "trickles the head": trickle(b"HTTP/1.1 200 OK\r\n" + b"X: " + b"y" * 60_000),
    "headers without end": endless_headers,
    "a body without end": endless(b"HTTP/1.1 200 OK\r\n\r\n"),
    "a head without end": endless(b"HTTP/1.1 200 OK\r\nX: "),
}


@pytest.fixture
def mirrors(mnist, monkeypatch, tmp_path):
    """Starts servers on this machine, which are then the mirrors; there is no other source."""
    raw = source.data_folder() / "MNIST" / "raw"
    packed = gzip.compress((raw / NAME).read_bytes(), 1)
    listeners = []

    def serve(answer):
        listener = socket.create_server(("127.0.0.1", 0))
        listeners.append(listener)

        def accept():
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return  # closed
                threading.Thread(target=talk, args=(connection,), daemon=True).start()

        def talk(connection):
            with connection:
                try:
                    connection.recv(1 << 16)
                    answer(connection, packed)
                except OSError:
                    pass  # the client has left

        threading.Thread(target=accept, daemon=True).start()
        return f"http://127.0.0.1:{listener.getsockname()[1]}/"

    def start(*answers):
        monkeypatch.setattr(source, "MIRRORS", tuple(map(serve, answers)))

    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setattr(source, "MIRROR_SECONDS", 3)
    for name in source.CHECKSUMS:
        if name != NAME:
            (tmp_path / "MNIST" / "raw").mkdir(parents=True, exist_ok=True)
            (tmp_path / "MNIST" / "raw" / name).symlink_to((raw / name).resolve())
    yield start
    for listener in listeners:
        listener.close()


@pytest.mark.parametrize("kind", BROKEN)
def test_a_broken_mirror_is_left_for_the_next(kind, mirrors, tmp_path):
    mirrors(BROKEN[kind], lambda connection, packed: connection.sendall(ok(packed)))
    start = time.monotonic()
    content = source.fetch(tmp_path)[NAME]
    assert time.monotonic() - start < 8
    assert zlib.crc32(content) == zlib.crc32((source.data_folder() / "MNIST" / "raw" / NAME).read_bytes())
    assert (tmp_path / "MNIST" / "raw" / NAME).read_bytes() == content
