"""Print where the time of a training step goes, by PyTorch's operation, for benchmarks/NOTES.md.

    .venv/bin/python benchmarks/speed/profiled.py residual_unet
    .venv/bin/python benchmarks/speed/profiled.py efficientnet_lite2_unet --avx2 --threads 1

With --avx2, as on a processor with AVX2 alone: in fp32, and without newer instructions in PyTorch's
kernels. PyTorch's libraries read that once, when they are loaded.
"""

import argparse
import os
import time

AVX2 = {"ATEN_CPU_CAPABILITY": "avx2", "ONEDNN_MAX_CPU_ISA": "AVX2", "DNNL_MAX_CPU_ISA": "AVX2"}
STEPS, BATCH = 4, 32


def main(network: str, threads: int, avx2: bool) -> None:
    import ours
    import roofline
    import survey
    from run import FOLDER
    from torch.profiler import ProfilerActivity, profile
    from torch.utils.flop_counter import FlopCounterMode

    FOLDER.mkdir(parents=True, exist_ok=True)
    survey.unique(FOLDER)
    tiles = str(FOLDER / "tiles.npz")
    ours.PRECISION, ours.CORES = ("fp32" if avx2 else "auto"), threads
    settings = {"name": network, "dropout": 0.1, "depth": "none"}
    trainer = ours.member(tiles, 16, STEPS * BATCH, BATCH, model=settings)
    trainer.train_epoch(1)
    seconds = []
    for number in range(2, 5):
        started = time.perf_counter()
        trainer.train_epoch(number)
        seconds.append((time.perf_counter() - started) / STEPS)
    with profile(activities=[ProfilerActivity.CPU]) as profiled:
        trainer.train_epoch(5)
    # A backward pass has a convolution's products twice. Counted there, they would be wrong where
    # each channel has a convolution of its own.
    with FlopCounterMode(display=False) as flops:
        trainer.network(trainer.job.training.images[:BATCH] / 255)
    rate = roofline.machine()()["gflop_per_s"]
    reached = 3 * flops.get_total_flops() / 1e9 / min(seconds)
    print(f"{network} on {trainer.compute}: {1000 * min(seconds):.0f} ms per step of {BATCH} tiles")
    print(f"{reached:.0f} of {rate:.0f} GFLOP/s of a matrix product ({100 * reached / rate:.0f} %)")
    print("\n| operation | ms | share |\n|---|---|---|")
    rows = sorted(profiled.key_averages(), key=lambda row: -row.self_cpu_time_total)
    total = sum(row.self_cpu_time_total for row in rows)
    for row in rows[:14]:
        spent = row.self_cpu_time_total
        print(f"| `{row.key}` | {spent / STEPS / 1000:.1f} | {100 * spent / total:.1f} % |")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("network")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--avx2", action="store_true")
    args = parser.parse_args()
    if args.avx2:
        os.environ |= AVX2
    main(args.network, args.threads, args.avx2)
