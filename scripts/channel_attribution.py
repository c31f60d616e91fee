"""Compares the removal shares that ChannelAttribution simulates with exact ones: see scripts/models."""

import json
import sys

import pandas as pd
from ChannelAttribution import markov_model

# A channel with a smaller part of the conversions is rare: its simulated removal effect is noise.
RARE = 0.01
# The largest relative difference of a channel that is not rare.
OFF_MAX = 0.05


def main(paths, ours, simulations):
    data = pd.read_csv(paths)
    with open(ours) as file:
        fitted = json.load(file)[0]["set"]
    simulated = markov_model(
        data, "path", "total_conversions", var_null="total_null", order=1, nsim_start=simulations, max_step=None, sep=">", seed=1,
        flg_pro=False, verbose=False,
    )
    column = next(name for name in simulated.columns if name.startswith("total_conversion"))
    theirs = {name.strip(): value for name, value in zip(simulated["channel_name"], simulated[column])}
    conversions = fitted["counts"]["converting"]
    off_at_all = 0
    print(f"{'channel':<10} {'exact':>10} {'simulated':>10} {'off':>8}")
    for channel in fitted["channels"]:
        exact = channel["share_nano"] / 1e9 * conversions
        found = theirs[channel["channel"]]
        off = found / exact - 1
        rare = exact < RARE * conversions
        off_at_all += not rare and abs(off) > OFF_MAX
        print(f"{channel['channel']:<10} {exact:>10.1f} {found:>10.1f} {off:>+8.1%}{'  (rare)' if rare else ''}")
    return 1 if off_at_all else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2], int(sys.argv[3])))
