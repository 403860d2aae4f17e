"""Runs a zip-packaged nodejs function as a process of this host, in LocalStack's own executor protocol.

One executor is one execution environment: one process that handles one invocation at a time. LocalStack makes
more of them for concurrent invocations, keeps them warm, and stops them.
"""
import json
import logging
import os
import resource
import shutil
import signal
import subprocess
import tempfile
import threading
from pathlib import Path

from localstack import config
from localstack.services.lambda_.invocation.executor_endpoint import (
    ExecutorEndpoint,
    StatusErrorException,
)
from localstack.services.lambda_.invocation.lambda_models import InvocationResult
from localstack.services.lambda_.invocation.plugins import RuntimeExecutorPlugin
from localstack.services.lambda_.invocation.runtime_executor import RuntimeExecutor

LOG = logging.getLogger(__name__)

# The node side stops a slow handler itself, and its log lines survive; this long after, one that blocks its event
# loop is killed from here.
KILL_AFTER_TIMEOUT_SECONDS = 1.0
STOP_SECONDS = 2.0

resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a function out of memory aborts: no core file of a gigabyte


def error_payload(kind: str, message: str) -> bytes:
    return json.dumps({"errorType": kind, "errorMessage": message}).encode()


class HostRuntimeExecutor(RuntimeExecutor):
    def __init__(self, id, function_version):
        super().__init__(id=id, function_version=function_version)
        self.endpoint = ExecutorEndpoint(id, container_address="127.0.0.1")
        self.env_vars = {}
        self.process = None
        self.stopped = False
        self.ran_out_of_time = False
        self.temp_folder = None

    def start(self, env_vars):
        self.env_vars = env_vars
        self.temp_folder = tempfile.mkdtemp(prefix="function-")
        self._start_process()

    def stop(self):
        self.stopped = True
        self._end_process()
        try:
            self.endpoint.shutdown()
        except Exception:
            LOG.debug("executor endpoint was gone already", exc_info=True)
        if self.temp_folder:
            shutil.rmtree(self.temp_folder, ignore_errors=True)

    def invoke(self, payload):
        if self.process.poll() is not None:
            self._start_process()  # it crashed or ran out of time: like Lambda, begin anew
        watch = threading.Timer(
            self.function_version.config.timeout + KILL_AFTER_TIMEOUT_SECONDS, self._end_blocked_process
        )
        watch.daemon = True
        watch.start()
        try:
            result = self.endpoint.invoke(payload)
        finally:
            watch.cancel()
        if result.is_error and b'"Sandbox.Timedout"' in result.payload:
            self._end_process()
        return result

    def _start_process(self):
        code = str(self.function_version.config.code.get_unzipped_code_location())
        port_read, port_write = os.pipe()
        env = {
            "PATH": os.environ["PATH"],
            "HOME": self.temp_folder,
            "LANG": "en_US.UTF-8",
            **{name: str(value) for name, value in self.env_vars.items()},
            "TMPDIR": self.temp_folder,
            "LAMBDA_TASK_ROOT": code,
            "PGTWIN_PORT_FD": str(port_write),
        }
        self.ran_out_of_time = False
        self.endpoint.start()
        with os.fdopen(port_read) as port_pipe:
            try:
                # its standard input tells it when LocalStack dies; a group of its own lets all it started be ended
                self.process = subprocess.Popen(
                    [
                        "node",
                        "--enable-source-maps",
                        f"--max-old-space-size={self.function_version.config.memory_size}",
                        str(Path(__file__).with_name("shim.mjs")),
                    ],
                    cwd=code, env=env, stdin=subprocess.PIPE, pass_fds=[port_write], start_new_session=True,
                )
            finally:
                os.close(port_write)
            threading.Thread(target=self._watch_process, args=[self.process], daemon=True).start()
            self.endpoint.wait_for_startup()
            self.endpoint.container_port = int(port_pipe.readline())

    def _end_process(self):
        process = self.process
        if process is None:
            return
        _signal_group(process, signal.SIGTERM)
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            pass
        _signal_group(process, signal.SIGKILL)
        process.wait()
        process.stdin.close()

    def _end_blocked_process(self):
        self.ran_out_of_time = True
        self._end_process()

    def _watch_process(self, process):
        """Answers what waits for a process that has died: nobody else would, for 15 minutes."""
        code = process.wait()
        _signal_group(process, signal.SIGKILL)
        if self.stopped or process is not self.process:
            return
        if self.ran_out_of_time:
            kind, message = "Sandbox.Timedout", f"Task timed out after {self.function_version.config.timeout:.2f} seconds"
        else:
            how = f"signal {-code}" if code < 0 else f"exit status {code}"
            kind, message = "Runtime.ExitError", f"Runtime exited with error: {how}"
        payload = error_payload(kind, message)
        started, invoked = self.endpoint.startup_future, self.endpoint.invocation_future
        if not started.done():
            started.set_exception(StatusErrorException("Environment startup failed", payload=payload))
        if invoked and not invoked.done():
            invoked.set_result(InvocationResult("", payload, is_error=True, logs=self.endpoint.logs or message))

    def get_address(self):
        return "127.0.0.1"

    def get_endpoint_from_executor(self):
        return "127.0.0.1"

    def get_runtime_endpoint(self):
        return f"http://127.0.0.1:{config.GATEWAY_LISTEN[0].port}{self.endpoint.get_endpoint_prefix()}"

    def get_logs(self):
        return ""

    @classmethod
    def prepare_version(cls, function_version):
        function_version.config.code.prepare_for_execution()

    @classmethod
    def cleanup_version(cls, function_version):
        function_version.config.code.destroy_cached()


def _signal_group(process, number):
    try:
        os.killpg(process.pid, number)  # the process leads its group
    except (ProcessLookupError, PermissionError):
        pass


class HostExecutorPlugin(RuntimeExecutorPlugin):
    name = "host"

    def load(self, *args, **kwargs):
        return HostRuntimeExecutor
