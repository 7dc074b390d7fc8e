"""The arithmetic of script/bench.

    bench.py DIRECTORY PAIRS         compares the reports of `ecs`
    bench.py validate TIME RSS       hyperfine's JSON, kilobytes
    bench.py template N              a template with N builds"""

import json
import statistics
import sys
from pathlib import Path

SIDES = ["ours", "packer"]


class Run:
    def __init__(self, directory, side, pair):
        file = Path(directory, f"{side}.{pair}")
        self.side, self.pair = side, pair
        self.report = json.loads(file.with_suffix(f".{pair}.json").read_text())
        self.wall = int(file.with_suffix(f".{pair}.wall").read_text()) / 1e9
        self.path = self.report["critical_path"]
        self.waste = self.report["waste"]
        self.calls = self.report["total_calls"]
        self.over = self.wall - self.path

    def row(self):
        return [self.wall, self.path, self.over, 100 * self.over / self.path, self.waste,
                100 * self.waste / self.wall, self.calls]

    def chain(self):
        waits = sorted((w for w in self.report["waits"] if w["critical"]), key=lambda w: w["began_at"])
        return " + ".join(f"{w['what']} {w['ready_at'] - w['began_at']:.1f}" for w in waits)


def line(name, row):
    wall, path, over, over_share, waste, waste_share, calls = row
    print(f"{name:<14}{wall:>8.1f}{path:>8.1f}{over:>7.1f}{over_share:>6.1f} %"
          f"{waste:>7.1f}{waste_share:>6.1f} %{calls:>7.0f}")


def compare(directory, pairs):
    runs = {side: [Run(directory, side, pair) for pair in range(1, pairs + 1)] for side in SIDES}
    print(f"{'':<14}{'wall s':>8}{'path s':>8}{'over s':>7}{'':>8}{'waste s':>7}{'':>8}{'calls':>7}")
    for pair in range(pairs):
        for side in SIDES:
            line(f"{side} {pair + 1}", runs[side][pair].row())
    for side in SIDES:
        columns = zip(*(run.row() for run in runs[side]))
        line(f"{side} median", [statistics.median(column) for column in columns])
    ratios = [ours.wall / theirs.wall for ours, theirs in zip(*(runs[side] for side in SIDES))]
    print(f"\nwall, ours to Packer's: {statistics.median(ratios):.2f} (median of pairs)\n")
    for side in SIDES:
        print(f"{side} 1: {runs[side][0].chain()}")
    actions(*(runs[side][0].report["calls_by_action"] for side in SIDES))


def actions(ours, packer):
    print(f"\n{'calls of pair 1':<32}{'ours':>6}{'packer':>8}")
    for action in sorted(ours.keys() | packer.keys()):
        print(f"{action:<32}{ours.get(action, 0):>6}{packer.get(action, 0):>8}")


def validate(time, rss):
    times = json.loads(Path(time).read_text())["results"][0]
    print(f"validate: {1000 * times['median']:.1f} ms (median of {len(times['times'])}),"
          f" {int(Path(rss).read_text()) / 1024:.1f} MiB")


def template(count):
    builders = [{
        "type": "alicloud-ecs", "name": f"b{number}", "region": "cn-beijing", "image_name": f"bench-{number}",
        "source_image": "centos_7_03_64_20G_alibase_20170818.vhd", "instance_type": "ecs.t5-lc1m1.small",
        "ssh_username": "root", "vpc_id": "vpc-bench", "vswitch_id": "vsw-bench", "ssh_private_ip": True,
    } for number in range(count)]
    provisioners = [{"type": "shell", "inline": ["echo hello"]}]
    print(json.dumps({"builders": builders, "provisioners": provisioners}, indent=2))


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["validate", time, rss]:
            validate(time, rss)
        case ["template", count]:
            template(int(count))
        case [directory, pairs]:
            compare(directory, int(pairs))
        case _:
            sys.exit(__doc__)
