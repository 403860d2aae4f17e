"""Lets an event source mapping look again at once after an empty poll, as AWS's long polling would notice a message.

LocalStack pauses a second after the first empty poll, whatever its settings say: only the longest pause is one.
"""
import os

from localstack.runtime import hooks
from localstack.utils.backoff import ExponentialBackoff


@hooks.on_infra_start()
def shorten_first_pause():
    from localstack.services.lambda_.event_source_mapping import esm_worker

    first = float(os.environ["PGTWIN_MAPPING_FIRST_PAUSE_SEC"])

    def backoff(initial_interval, max_interval):
        return ExponentialBackoff(initial_interval=min(first, initial_interval), max_interval=max_interval)

    esm_worker.ExponentialBackoff = backoff
