"""LocalStack without Docker: its plugins that use processes of this machine instead of containers and downloads."""
