"""Our own pipelined publisher, pull loop and supervisor over nats-py."""
