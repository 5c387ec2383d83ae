"""pushd and the Redis in which notifications wait: which server it takes."""

from harness import wait_until
from notify import outcome, register

REFUSED = r"storage-refused .*set its maxmemory-policy to noeviction.* policy=allkeys-lru"


def test_pushd_does_not_start_on_a_redis_that_evicts(stage):
    redis = stage.redis(extra=["--maxmemory-policy", "allkeys-lru"])
    push = stage.pushd("push-evicted", redis, start=False)
    push.clean = (1,)
    push.start(wait=False)
    assert push.wait_exit() == 1
    push.wait_log(REFUSED)


def test_pushd_does_not_serve_while_redis_evicts(stage):
    fake, redis = stage.providers(), stage.redis()
    push = stage.pushd("push-evicted-later", redis, fake)
    device = register(push)
    redis.command("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
    redis.command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
    push.wait_log(REFUSED)
    wait_until(lambda: push.call("GET", "/readyz")[0] == 503)
    redis.command("CONFIG", "SET", "maxmemory-policy", "noeviction")
    wait_until(lambda: push.call("GET", "/readyz")[0] == 200)
    assert outcome(push, device) == "sent"
