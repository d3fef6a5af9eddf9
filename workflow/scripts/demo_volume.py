"""Write the demo volume as SEG-Y: a synthetic survey, the labels of some inlines, and the truth."""

import logging

from saltseg.stage.cli import run, stage_parser
from saltseg.synthetic.volume import write_volume


def main(args):
    volume = args.settings.data.demo_volume
    shape = (volume.inlines, volume.crosslines, volume.samples)
    labelled = write_volume(
        args.volume, args.labels, args.truth, shape, volume.labelled_every, volume.seed
    )
    logging.info(
        "A synthetic volume of %d inlines, %d crosslines and %d samples, labelled on %d inlines, "
        "to %s",
        *shape,
        len(labelled),
        args.volume,
    )


if __name__ == "__main__":
    parser = stage_parser(__doc__)
    parser.add_output("volume", "SEG-Y of amplitudes")
    parser.add_output("labels", "SEG-Y of the labelled inlines")
    parser.add_output("truth", "SEG-Y of all labels, for scoring alone")
    run(main, parser)
