#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Adds this project's crates to the rust-project.json that the kernel makes.

The kernel's generator knows its own crates and modules of a single file. What
ours are made of is in the commands that kbuild kept beside the objects: each
crate's root file, and what it is compiled against (--extern).

Usage: rust-project.py KERNELS-JSON OBJECTS-DIRECTORY > rust-project.json
"""

import json
import pathlib
import re
import sys


def our_crates(objects):
    """(name, root file, names of its dependencies), dependencies first."""
    found = {}
    for cmd in sorted(objects.glob("**/.*.o.cmd")):
        text = cmd.read_text()
        source = re.search(r"^source_\S+ := (\S+\.rs)$", text, re.M)
        if source:
            root = source.group(1)
            externs = re.findall(r"--extern (\w+)", text.split("\n", 1)[0])
            found[pathlib.Path(root).stem] = (root, externs)
    ordered = []
    while found:
        ready = [n for n, (_, externs) in found.items() if not set(externs) & set(found)]
        for name in ready:
            ordered.append((name, *found.pop(name)))
        if not ready:
            sys.exit(f"crates that depend on each other: {', '.join(found)}")
    return ordered


def main():
    project = json.loads(pathlib.Path(sys.argv[1]).read_text())
    objects = pathlib.Path(sys.argv[2])
    crates = project["crates"]
    number = {crate["display_name"]: i for i, crate in enumerate(crates)}
    kernel = crates[number["kernel"]]
    bindings = objects / "src/connector/bindings_generated.rs"

    for name, root, externs in our_crates(objects):
        ours = dict(kernel)
        ours.pop("source", None)
        ours.update(
            display_name=name,
            root_module=root,
            is_workspace_member=True,
            is_proc_macro=False,
            deps=[
                {"crate": number[dep], "name": dep}
                for dep in ["core", *dict.fromkeys(externs)]
                if dep in number
            ],
            env={"RUST_MODFILE": name, "CONNECTOR_BINDINGS": str(bindings)},
        )
        if "crate_id" in kernel:
            ours["crate_id"] = len(crates)
        number[name] = len(crates)
        crates.append(ours)

    json.dump(project, sys.stdout, indent=1)


if __name__ == "__main__":
    main()
