"""Builds examples/iso/golden.json without its import, by this program and by
real Packer in turns, and says when what happened.

    bench_iso.py PROGRAM ISO DIRECTORY PAIRS"""

import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

# What both print, and what has begun then.
PHASES = [("typing", "Typing the boot command"), ("typed", "Waiting for SSH to become available"),
          ("ssh", "Connected to SSH!"), ("halt", "Gracefully halting virtual machine"),
          ("convert", "Converting hard drive")]


def build(side, program, iso, directory):
    """Seconds from the start to each phase; the last one is the end."""
    directory.mkdir(parents=True)
    output = directory / "output"
    variables = {"iso_url": iso, "iso_checksum": f"file:{iso}.sha256", "accelerator": "tcg",
                 "output_directory": output}
    command = [program, "build", "-except=alicloud-import"]
    command += [word for name, value in variables.items() for word in ["-var", f"{name}={value}"]]
    command.append("examples/iso/golden.json")
    environment = os.environ | {"CHECKPOINT_DISABLE": "1", "PACKER_NO_COLOR": "1",
                                "PACKER_CACHE_DIR": directory / "cache"}
    start, seen, log = time.monotonic(), {}, []
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True) as child:
        for line in child.stdout:
            log.append(line)
            for phase, text in PHASES:
                if text in line:
                    seen.setdefault(phase, time.monotonic() - start)
    end = time.monotonic() - start
    if child.returncode != 0:
        sys.exit(f"{side} failed:\n{''.join(log)}")
    subprocess.run(["qemu-img", "check", "-q", output / "packer-golden"], check=True)
    (output / "packer-golden").unlink()
    return [seen[phase] for phase, _ in PHASES] + [end]


def main(program, iso, directory, pairs):
    names = [phase for phase, _ in PHASES] + ["end"]
    print(f"{'seconds until':<16}" + "".join(f"{name:>9}" for name in names))
    runs = {"ours": [], "packer": []}
    for pair in range(1, pairs + 1):
        for side, command in [("packer", "packer"), ("ours", program)]:
            times = build(side, command, iso, Path(directory, f"{side}.{pair}"))
            runs[side].append(times)
            print(f"{side} {pair:<{15 - len(side)}}" + "".join(f"{t:>9.1f}" for t in times), flush=True)
    for side, times in runs.items():
        print(f"{side + ' median':<16}" + "".join(f"{statistics.median(t):>9.1f}" for t in zip(*times)))
    ratios = [ours[-1] / theirs[-1] for ours, theirs in zip(runs["ours"], runs["packer"])]
    print(f"\nwall, ours to Packer's: {statistics.median(ratios):.2f} (median of pairs)")


if __name__ == "__main__":
    if len(sys.argv) != 5:
        sys.exit(__doc__)
    main(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]))
