"""What script/check-peer asks the sandbox and the two manifests.

    peer.py left URL               lists what is alive but no image; fails if any
    peer.py same A B               fails unless two manifests have one shape"""

import json
import re
import sys
import urllib.request


def get(url, path):
    with urllib.request.urlopen(f"{url}/_sandbox/{path}", timeout=30) as answer:
        return json.load(answer)


def left(url):
    """Images stay, and the snapshots they consist of."""
    mappings = [m for image in get(url, "images") for m in image["DiskDeviceMappings"]["DiskDeviceMapping"]]
    kept = {mapping["SnapshotId"] for mapping in mappings}
    alive = [one for one in get(url, "alive") if one["kind"] != "image" and one["id"] not in kept]
    for one in alive:
        print("left:", one["kind"], one["id"], one["name"])
    return not alive


def shape(path):
    """A manifest with everything masked that is new in every run."""
    with open(path, encoding="utf-8") as file:
        manifest = json.load(file)
    for build in manifest["builds"]:
        build["artifact_id"] = re.sub(r"m-[0-9a-z]{16,}", "m-…", build["artifact_id"])
        build["build_time"] = type(build["build_time"]).__name__
        build["packer_run_uuid"] = build["packer_run_uuid"] == manifest["last_run_uuid"]
    manifest["last_run_uuid"] = type(manifest["last_run_uuid"]).__name__
    return manifest


def same(ours, theirs):
    if shape(ours) == shape(theirs):
        print(shape(ours)["builds"][0]["artifact_id"])
        return True
    print("ours:  ", json.dumps(shape(ours)))
    print("theirs:", json.dumps(shape(theirs)))
    return False


if __name__ == "__main__":
    command, *arguments = sys.argv[1:]
    sys.exit(0 if {"left": left, "same": same}[command](*arguments) else 1)
