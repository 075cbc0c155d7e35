"""Compares images field by field: what locald and pack built in the same round.

Reads WORK/WHO-ROUND-{manifest,config}.json, prints a line for each field, and
fails where one differs.
usage: compare_images.py WORK ROUND...
"""

import json
import pathlib
import sys

FIELDS = {
    "manifest": lambda manifest, config: manifest,
    "config": lambda manifest, config: config,
    "diffIDs": lambda manifest, config: config["rootfs"]["diff_ids"],
    "layers": lambda manifest, config: [layer["digest"] for layer in manifest["layers"]],
    "history": lambda manifest, config: config.get("history"),
    "media types": lambda manifest, config: [
        part.get("mediaType") for part in (manifest, manifest["config"], *manifest["layers"])
    ],
    "platform": lambda manifest, config: (config["os"], config["architecture"]),
    **{
        name: lambda manifest, config, name=name: config["config"].get(name)
        for name in ("Env", "Entrypoint", "Cmd", "User", "WorkingDir", "Labels")
    },
    "created": lambda manifest, config: config.get("created"),
}


def main(work, rounds):
    work = pathlib.Path(work)
    different = 0
    for round in rounds:
        ours, theirs = (
            [json.loads((work / f"{who}-{round}-{part}.json").read_text()) for part in ("manifest", "config")]
            for who in ("locald", "pack")
        )
        for name, field in FIELDS.items():
            same = field(*ours) == field(*theirs)
            different += not same
            print(f"{round} build: {name:11} {'identical' if same else 'DIFFERENT'}")
            if not same:
                print("  locald:", json.dumps(field(*ours)))
                print("  pack:  ", json.dumps(field(*theirs)))
    return different > 0


sys.exit(main(sys.argv[1], sys.argv[2:]))
