"""Ends LocalStack when the process that started it is gone: nothing stays behind after a killed test run."""
import os
import signal
import sys
import threading

from localstack.runtime import hooks


@hooks.on_infra_start()
def exit_with_starter():
    threading.Thread(target=_wait_for_end_of_input, name="starter-watch", daemon=True).start()


def _wait_for_end_of_input():
    # The starter holds the other end of this pipe and never writes: an end of file means that it died.
    while sys.stdin.buffer.read(1):
        pass
    os.kill(os.getpid(), signal.SIGTERM)
