"""`geocrop sample-design`: draw points of a published map, to be labelled as reference."""

import argparse
import sys
from collections import Counter
from pathlib import Path

from steps.published import open_published
from steps.validation import Design, Wish, check_sample_path, design_path, draw_sample, read_users, write_sample


def run(arguments: argparse.Namespace) -> int:
    """Write the points and their design; say how many there are of each class of the map."""
    sample = Path(arguments.out)
    check_sample_path(sample)
    published = open_published(arguments.item)
    users = read_users(Path(arguments.user_accuracy), published.classes) if arguments.user_accuracy else {}
    wish = Wish(standard_error=arguments.standard_error, users=users, minimum=arguments.minimum, seed=arguments.seed)
    with published.open_map() as path:
        design = draw_sample(path, published.classes, wish, item=published.name, map_sha256=published.map_sha256)
    write_sample(sample, design)
    _say(design, sample)
    return 0


def _say(design: Design, sample: Path) -> None:
    write, drawn = sys.stdout.write, Counter(one.code for one in design.units)
    total = sum(one.hectares for one in design.strata)
    write(f"{len(design.units)} points drawn from {design.item}\n")
    for one in design.strata:
        write(f"  {one.name:<24} {one.hectares:>14.2f} ha {one.hectares / total:>7.2%} {drawn[one.code]:>6} points\n")
    write(f"  {'to label':<24} {sample}\n")
    write(
        f"  {'for the assessment':<24} {design_path(sample)}: it says what the map says, do not show it to labellers\n"
    )
