"""The arithmetic of script/bench disk.

    bench_disk.py DIRECTORY PAIRS"""

import statistics
import sys
from pathlib import Path

DISKS = ["clean", "deleted"]
WALL = {"clean": 0.25, "deleted": 0.12}
SENT = {"clean": 0.98, "deleted": 0.45}
MIB = 1 << 20


class Side:
    """What one side took; its programs ran one after the other."""

    def __init__(self, directory, disk, side, pair):
        file = Path(directory, f"{disk}.{side}.{pair}")
        runs = [list(map(float, line.split())) for line in file.read_text().splitlines()]
        self.wall = sum(run[0] for run in runs)
        self.cpu = sum(run[1] + run[2] for run in runs)
        self.rss = max(run[3] for run in runs) * 1024 / MIB
        self.written = sum(run[4] for run in runs) * 512 / MIB
        self.sent = int(Path(f"{file}.sent").read_text()) / MIB


def line(disk, what, ours, peers, unit, goal, is_ratio=True):
    """Medians of both, and of the pairs' ratios."""
    own, peer = statistics.median(ours), statistics.median(peers)
    ratio = statistics.median(a / b for a, b in zip(ours, peers)) if is_ratio else own
    shown = f"{ratio:.3f}" if is_ratio else f"{own:.0f} {unit}"
    verdict = "reached" if ratio <= goal else "MISSED"
    print(f"| {disk} | {what} | {own:.1f} {unit} | {peer:.1f} {unit} | {shown} | ≤ {goal} | {verdict} |")


def main():
    directory, pairs = sys.argv[1], int(sys.argv[2])
    print("| disk | what | ours | peer | median | goal | |\n|---|---|---|---|---|---|---|")
    for disk in DISKS:
        ours, peers = ([Side(directory, disk, side, pair) for pair in range(1, pairs + 1)]
                       for side in ["ours", "peer"])
        both = lambda field: ([getattr(one, field) for one in side] for side in (ours, peers))
        line(disk, "wall", *both("wall"), "s", WALL[disk])
        line(disk, "CPU", *both("cpu"), "s", 0.25)
        line(disk, "bytes sent", *both("sent"), "MiB", SENT[disk])
        line(disk, "peak RSS", *both("rss"), "MiB", 64, False)
        line(disk, "extra disk", *both("written"), "MiB", 1, False)


main()
