"""Other readings of a claim: judged on the same runs, and told beside the verdict."""

from __future__ import annotations

from experiments.claims.spec import Reading
from experiments.claims.study import Answer, share_text
from experiments.claims.verdicts import Judged, judge


def judged_readings(found: Answer) -> list[tuple[Reading, Judged]]:
    """Return the other readings of a claim with what came out."""
    claim, measured = found.claim, found.measured
    return [
        (one, judge(claim.replace(given=one.given, test=one.test or claim.test), measured))
        for one in claim.readings
    ]


def reading_text(reading: Reading, judged: Judged) -> str:
    """Say in a sentence how a claim comes out if it is read otherwise."""
    of = int(judged.given.sum())
    if of == 0:
        return f"Read otherwise, {reading.says}: there is none at any of {judged.points:,} points."
    if of == int(judged.true.sum()):
        came = f"true at all of {of:,} points"
    else:
        came = f"true at {share_text(judged.share)} of {of:,} points"
    return f"Read otherwise, {reading.says}: {came}."
