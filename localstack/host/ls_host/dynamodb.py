"""Starts DynamoDB Local from a folder of jars (PGTWIN_DYNAMODB_JARS) instead of a download."""
import os

from localstack.runtime import hooks

MAIN_CLASS = "software.amazon.dynamodb.services.local.main.ServerRunner"

# LocalStack starts it in a session of its own, out of reach of a kill of LocalStack's group. So a shell stands
# between: it ends the server when it is told to, and also when LocalStack ($1) is no longer there.
GUARD = """
owner=$1; shift
"$@" & server=$!
trap 'kill $server' TERM INT HUP
(while kill -0 $owner; do sleep 1; done; kill $server) 2>/dev/null & watch=$!
wait $server
kill $watch 2>/dev/null
"""


@hooks.on_infra_start()
def use_dynamodb_from_jars():
    from localstack.services.dynamodb import packages, server

    jars = os.environ["PGTWIN_DYNAMODB_JARS"]
    java = os.environ["PGTWIN_JAVA"]

    def command(self):
        storage = ["-dbPath", self.db_path] if self.db_path else ["-inMemory"]
        return [
            "sh", "-c", GUARD, "dynamodb-guard", str(os.getpid()),
            java, f"-Xmx{self.heap_size}", f"-Djava.library.path={jars}", "-cp", f"{jars}/*",
            MAIN_CLASS, "-port", str(self.port), *storage,
        ]

    packages.DynamoDBLocalPackageInstaller.install = lambda *args, **kwargs: None
    packages.DynamoDBLocalPackageInstaller.get_java_env_vars = lambda self: {}
    server.DynamodbServer._create_shell_command = command
