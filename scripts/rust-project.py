#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Adds this project's crates to the rust-project.json that the kernel makes.

The kernel's generator knows its own crates and modules of a single file. What
ours are made of is in the commands that kbuild kept beside the objects: each
crate's root file, and what it is compiled against (--extern).

It also lists core and its companions like any other crate, and rust-analyzer
looks for the methods of slices and numbers only in crates that it knows to be
the sysroot's. So these are left to it (sysroot_src), and that a crate of the
kernel is no_std, which kbuild tells rustc, is told here as well.

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


def without(crates, leave_out):
    """The crates but for some; dependencies on those are left out, too."""
    kept = [i for i, crate in enumerate(crates) if not leave_out(crate)]
    number = {old: new for new, old in enumerate(kept)}
    for crate in crates:
        crate["deps"] = [
            {**dep, "crate": number[dep["crate"]]} for dep in crate["deps"] if dep["crate"] in number
        ]
        if "crate_id" in crate:
            crate["crate_id"] = number.get(crate["crate_id"])
    return [crates[i] for i in kept]


def main():
    project = json.loads(pathlib.Path(sys.argv[1]).read_text())
    objects = pathlib.Path(sys.argv[2])
    top = pathlib.Path(__file__).resolve().parent.parent

    core = next(crate["root_module"] for crate in project["crates"] if crate["display_name"] == "core")
    library = pathlib.Path(core).parents[2]
    for crate in project["crates"]:
        if not any(dep["name"] == "std" for dep in crate["deps"]):
            crate["crate_attrs"] = ["no_std"]
    project["sysroot_src"] = str(library)
    # Copies in build/ are nobody's to edit.
    crates = without(
        project["crates"],
        lambda crate: pathlib.Path(crate["root_module"]).is_relative_to(library)
        or pathlib.Path(crate["root_module"]).is_relative_to(top / "build"),
    )
    project["crates"] = crates
    number = {crate["display_name"]: i for i, crate in enumerate(crates)}
    kernel = crates[number["kernel"]]
    bindings = objects / "src/connector/bindings_generated.rs"

    def add(name, root, externs):
        ours = dict(kernel)
        ours.update(
            display_name=name,
            root_module=root,
            is_workspace_member=True,
            is_proc_macro=False,
            deps=[
                {"crate": number[dep], "name": dep} for dep in dict.fromkeys(externs) if dep in number
            ],
            env={"RUST_MODFILE": name, "CONNECTOR_BINDINGS": str(bindings)},
            source={
                "include_dirs": [str(pathlib.Path(root).parent), str(bindings.parent)],
                "exclude_dirs": [],
            },
        )
        if "crate_id" in kernel:
            ours["crate_id"] = len(crates)
        number[name] = len(crates)
        crates.append(ours)

    for name, root, externs in our_crates(objects):
        add(name, str((top / root).resolve()), externs)
    # Somebody else's module, which is found and not known to build on ours.
    ours = [dep["name"] for dep in crates[number["cn_echo"]]["deps"]]
    for crate in crates:
        if pathlib.Path(crate["root_module"]).is_relative_to(top / "samples/standalone"):
            crate["deps"] = [{"crate": number[dep], "name": dep} for dep in ours]

    json.dump(project, sys.stdout, indent=1)


if __name__ == "__main__":
    main()
