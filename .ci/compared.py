"""Fails unless nbval ran every code cell of the notebooks and compared each one that is not marked as measured.

nbval alone stays green when a stored cell was never executed (it is not compared), when a cell is skipped, and when a
cell that ran out of time swallows the interrupt (the cells after it are expected to fail).

Usage: compared.py REPORT.xml TIMEOUT NOTEBOOK...
"""

import json
import sys
from pathlib import Path
from xml.etree import ElementTree


def problems(report: str, timeout: float, notebooks: list[str]) -> list[str]:
    cases = {}
    for case in ElementTree.parse(report).iter("testcase"):
        cases[case.get("classname").removesuffix(".ipynb").rpartition(".")[2], case.get("name")] = case
    found = []
    for path in map(Path, notebooks):
        cells = [cell for cell in json.loads(path.read_text(encoding="utf-8"))["cells"] if cell["cell_type"] == "code"]
        for number, cell in enumerate(cells):
            case = cases.get((path.stem, f"Cell {number}"))
            tags = cell["metadata"].get("tags", [])
            if case is None:
                found.append(f"{path}, cell {number}: did not run")
            elif len(case):
                found.append(f"{path}, cell {number}: {case[0].tag}")
            elif float(case.get("time")) >= timeout:
                found.append(f"{path}, cell {number}: ran out of time")
            elif "NBVAL_" in "".join(cell["source"]):
                found.append(f"{path}, cell {number}: mark cells by tags, not by nbval's comments")
            elif "nbval-ignore-output" not in tags and cell["execution_count"] is None:
                found.append(f"{path}, cell {number}: should be compared, but what is stored was never executed")
    return found


if __name__ == "__main__":
    wrong = problems(sys.argv[1], float(sys.argv[2]), sys.argv[3:])
    print("\n".join(wrong) or "every cell ran, and each that should be compared was")
    sys.exit(bool(wrong))
