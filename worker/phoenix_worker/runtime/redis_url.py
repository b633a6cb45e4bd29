"""Where Redis is and who we are there: from the argument or its file, its password struck out of all that is told."""

from phoenix_coordination.redis.client import Credentials, credentials_of, passwords_of, read_url

from phoenix_worker.runtime.redaction import Redactor


def read_redis_url(argument: str, redact: Redactor) -> str:
    """The URL of `--redis`, as it says now; raises `RedisUrlError`."""
    url = read_url(argument)
    redact.hide(passwords_of(url))
    return url


def redis_credentials(argument: str, redact: Redactor) -> Credentials:
    """As the file says whenever they are asked for: a password that was changed there needs no restart."""
    return lambda: credentials_of(read_redis_url(argument, redact))
