"""Copy a finished member of another run, unless it learnt from tiles that it would be scored on."""

import logging
import shutil

from saltseg.core.files import replacing
from saltseg.stage.cli import add_labelled, run, stage_parser
from saltseg.survey.labelled import LabelledData
from saltseg.training.start import Start


def main(args):
    finished = Start.load(args.source, {}, None, "ensemble.runs")
    scheme = args.settings.validation.scheme
    finished.require_honest(LabelledData.load(args), scheme, finished.checkpoint.seed)
    with replacing(args.checkpoint) as part:
        shutil.copyfile(args.source, part)
    logging.info("%s is used as it is", args.source)


if __name__ == "__main__":
    parser = stage_parser(__doc__)
    add_labelled(parser)
    parser.add_input("source", "the member's checkpoint in the other run's results")
    parser.add_output("checkpoint", "safetensors file")
    run(main, parser)
