"""`geocrop assess`: accuracy and area of a published map, from labelled points."""

import argparse
import datetime as dt
import sys
from pathlib import Path

from steps.assessment import assess, put_assessment
from steps.assessment_report import area, share
from steps.estimators import Assessment
from steps.map_notes import tell_assessment
from steps.outbox import home_outbox
from steps.published import Published, open_published
from steps.settings import settings
from steps.validation import design_path, read_design, read_labels


def run(arguments: argparse.Namespace) -> int:
    """Estimate, put the assessment beside the map, and say it."""
    sample = Path(arguments.sample)
    published = open_published(arguments.item)
    design = read_design(Path(arguments.design) if arguments.design else design_path(sample))
    labelled = read_labels(sample, arguments.reference_column, design)
    assessment = assess(published, design, labelled, dt.datetime.now(dt.UTC))
    put_assessment(published, assessment)
    tell_assessment(published.item, assessment, home_outbox(settings()), settings())
    _say(assessment, published)
    return 0


def _write(text: str) -> None:
    """Terminals draw the page's narrow spaces as anything."""
    sys.stdout.write(text.replace("\u202f", " "))


def _say(assessment: Assessment, published: Published) -> None:
    write, accuracy = _write, assessment.accuracy
    write(f"overall accuracy {share(accuracy.overall)}, {accuracy.units} points of {published.name}\n")
    for one in accuracy.classes:
        write(f"  {one.stratum.name}: user's {share(one.users)}, producer's {share(one.producers)}, "
              f"{area(one.hectares)} ha\n")  # fmt: skip
    for note in accuracy.notes:
        write(f"  {note}\n")
    if assessment.unlabelled:
        ids = ", ".join(map(str, assessment.unlabelled[:10]))
        write(f"  left out, without a label: {len(assessment.unlabelled)} of {assessment.drawn} points ({ids}"
              f"{', ...' if len(assessment.unlabelled) > 10 else ''}); label them and assess again\n")  # fmt: skip
    write(f"  {published.href}\n")
