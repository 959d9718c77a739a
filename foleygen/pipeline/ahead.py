"""A clip that is decoded while torch is imported and the models are loaded: one does not wait for the other."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from fractions import Fraction

from foleygen.features.cache import FeatureCache
from foleygen.media.ahead import Ahead
from foleygen.pipeline.extent import handle_samples
from foleygen.pipeline.jobs import Job
from foleygen.pipeline.keys import features_key
from foleygen.pipeline.switching import often
from foleygen.settings import RenderSettings
from foleygen.weights.bundle import Bundle


@contextmanager
def begun(job: Job, bundle: Bundle, settings: RenderSettings, cache: FeatureCache | None) -> Iterator[Job]:
    """The job, whose pictures are decoded from now on in a thread, which is gone afterwards.

    As it was where its pictures have no say, or are known from an earlier run.
    """
    if not _is_unseen(job, bundle, settings, cache):
        yield job
        return
    ahead = Ahead(job.info, bundle.encoder.frame_size)
    try:
        with often():
            yield replace(job, ahead=ahead)
    finally:
        ahead.close()


def _is_unseen(job: Job, bundle: Bundle, settings: RenderSettings, cache: FeatureCache | None) -> bool:
    if cache is None or not job.own.picture:
        return job.own.picture
    rate = bundle.sample_rate
    first_s = Fraction(-handle_samples(job.info, settings, rate), rate)
    return cache.get(features_key(job.info, first_s, bundle)) is None
