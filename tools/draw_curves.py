"""Makes docs/curves.png: how the losses fell of a training of the embedded set's heads.

python tools/draw_curves.py out/train/embedded
"""

import argparse
import json
import sys
from pathlib import Path

import matplotlib

matplotlib.use('Agg')
import matplotlib.pyplot as plt
import numpy as np

OUT = Path(__file__).parents[1] / 'docs' / 'curves.png'
# Losses of one panel each, as `mesh-perception train` logs them, and what they are.
PANELS = {
    'head: joints (robust)': ('relative',),
    'head: image, spreads': ('plane',),
    'head: distance, log': ('depth',),
    'head: sigma, nats': ('sigma',),
    'f^TS': ('twist', 'leaf'),
    'f^Ref: joints, 3D (Eq. 12)': ('refined_joints',),
    'f^Ref: pose, shape': ('refined_pose', 'refined_shape'),
    'adversarial (Eq. 14, 15)': ('adversarial_pose', 'pose_discriminator'),
}
SMOOTH = 5  # entries of the log averaged


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition('\n')[0])
    parser.add_argument('folder', type=Path, help='with log.jsonl')
    log = parser.parse_args().folder / 'log.jsonl'
    try:
        entries = [entry for entry in map(json.loads, log.read_text().splitlines()) if 'losses' in entry]
    except (OSError, ValueError) as error:
        return f'{parser.prog}: {log}: {error}'
    steps = np.array([entry['step'] for entry in entries])
    figure, axes = plt.subplots(2, 4, figsize=(11, 4.6), dpi=90, constrained_layout=True)
    for axis, (title, names) in zip(axes.flat, PANELS.items(), strict=True):
        for name in names:
            values = np.array([entry['losses'][name] for entry in entries])
            (line,) = axis.plot(steps, values, alpha=0.25, lw=1)
            smooth = np.convolve(values, np.ones(SMOOTH) / SMOOTH, 'valid')
            axis.plot(steps[SMOOTH - 1 :], smooth, color=line.get_color(), label=name)
        axis.set_title(title, fontsize=9)
        axis.tick_params(labelsize=7)
        axis.grid(alpha=0.3)
        if len(names) > 1:
            axis.legend(fontsize=7)
        if names[0].startswith('adversarial'):
            axis.set_yscale('log')
    for axis in axes[1]:
        axis.set_xlabel('step', fontsize=8)
    figure.savefig(OUT)
    return 0


if __name__ == '__main__':
    sys.exit(main())
