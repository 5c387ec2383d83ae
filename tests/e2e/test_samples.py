"""The sample configurations and the compose stack's .env, held against programs and files."""

import os
import re
import subprocess

import pytest

from harness import ROOT, Providers

DEPLOY = ROOT / "deploy"
DAEMONS = ("relayd", "pushd", "xmppgw")
SECRETS = {
    "relayd": ["API_TOKEN"],
    "pushd": ["API_TOKEN"],
    "xmppgw": ["API_TOKEN", "COMPONENT_PROXY_SECRET", "COMPONENT_PUSH_SECRET"],
}
# -T's lines: "key = value" where there is a value, "#key = default" in a section that isn't there.
KEY = re.compile(r"^#?([a-z0-9-]+) =(?: (.*))?$", re.M)


def ask(stage, daemon, option, config=None, env=None):
    """What the daemon says to OPTION with its sample: (status, output)."""
    argv = [stage.binary(daemon), "-c", config or DEPLOY / f"{daemon}.conf", option]
    clean = {name: value for name, value in os.environ.items() if not name.startswith("OG_")}
    done = subprocess.run(
        argv, capture_output=True, text=True, env={**clean, **stage.sanitizer_env, **(env or {})}
    )
    return done.returncode, done.stdout + done.stderr


@pytest.fixture
def chosen(stage):
    """What an operator still has to give, by daemon, as environment."""
    given = {
        daemon: {f"OG_{daemon.upper()}_{name}": f"chosen-{name}" for name in names}
        for daemon, names in SECRETS.items()
    }
    files = Providers(stage).set
    given["pushd"]["OG_PUSHD_PROVIDER_APNS_BINARY_API_KEY_FILE"] = str(files / "apns.p8")
    account = str(files / "service-account.json")
    given["pushd"]["OG_PUSHD_PROVIDER_FCM_XMPP_API_SERVICE_ACCOUNT_FILE"] = account
    return given


@pytest.mark.parametrize("daemon", DAEMONS)
def test_a_sample_with_secrets_of_ones_own_is_right(stage, chosen, daemon):
    assert ask(stage, daemon, "-n", env=chosen[daemon]) == (
        0, f"{daemon}: the configuration is right\n"
    )


@pytest.mark.parametrize("daemon", DAEMONS)
def test_a_sample_as_it_is_is_refused_and_told_what_to_do(stage, chosen, daemon):
    for name in SECRETS[daemon]:
        env = dict(chosen[daemon])
        del env[f"OG_{daemon.upper()}_{name}"]
        status, output = ask(stage, daemon, "-n", env=env)
        assert status == 1
        assert "deploy/make-secrets" in output


def sample_keys(daemon):
    """Every key of the sample, also those behind "#": {key: {value}}."""
    found = {}
    for key, value in KEY.findall((DEPLOY / f"{daemon}.conf").read_text()):
        found.setdefault(key, set()).add(value)
    return found


def dumped(stage, daemon, tmp_path):
    """What -T prints without any configuration but what is needed."""
    config = tmp_path / f"{daemon}.conf"
    config.write_text("[daemon]\napi-token = token-of-the-tests\n" +
                      ("[component x.org]\nserver = h:1\nsecret = s\nrole = push\n"
                       if daemon == "xmppgw" else ""))
    status, text = ask(stage, daemon, "-T", config)
    assert status == 0, text
    return text


@pytest.mark.parametrize("daemon", DAEMONS)
def test_a_sample_has_every_key(stage, tmp_path, daemon):
    keys = {key for key, _ in KEY.findall(dumped(stage, daemon, tmp_path))}
    assert keys == set(sample_keys(daemon))


@pytest.mark.parametrize("daemon", DAEMONS)
def test_what_a_sample_calls_a_default_is_the_default(stage, tmp_path, daemon):
    text = dumped(stage, daemon, tmp_path)
    found = re.findall(r"^# .* Default: (\S+)\n#?([a-z0-9-]+) =", text, re.M)
    defaults = {key: value for value, key in found}
    said = (DEPLOY / f"{daemon}.conf").read_text()
    for key, value in re.findall(r"^#([a-z0-9-]+) = (\S+)$", said, re.M):
        if key in defaults:
            assert value == defaults[key], key


def variables(path):
    """The variables that a compose file reads: {name: default}."""
    return dict(re.findall(r"\$\{(\w+):-([^}]*)\}", path.read_text()))


# Without .env there is no config/ either: the demonstration mounts the samples as they are.
OTHERWISE_WITHOUT_ENV = {"CONFIG": "."}


def test_env_example_names_every_variable_of_the_compose_files_and_says_what_each_is_for():
    read = {}
    for path in DEPLOY.glob("docker-compose*.yml"):
        read.update(variables(path))
    text = (DEPLOY / ".env.example").read_text()
    given = dict(re.findall(r"^(\w+)=(.*)$", text, re.M))
    assert set(given) == set(read) | {"COMPOSE_FILE", "COMPOSE_PROJECT_NAME"}
    for name, default in read.items():
        assert default in ("", OTHERWISE_WITHOUT_ENV.get(name, given[name])), name
    for paragraph in text.strip().split("\n\n"):
        assert paragraph.startswith("# ")


def test_make_secrets_writes_all_once_and_overwrites_nothing(tmp_path):
    def make(*words):
        command = [DEPLOY / "make-secrets", *words]
        done = subprocess.run(command, env={**os.environ, "STACK": str(tmp_path)},
                              capture_output=True, text=True)
        return done.returncode, done.stdout + done.stderr

    assert make("example.net")[0] == 0
    files = {path: path.read_text() for path in tmp_path.rglob("*") if path.is_file()}
    named = {str(path.relative_to(tmp_path / "secrets")): text for path, text in files.items()
             if "secrets" in path.parts}
    tokens = {named[f"{daemon}/api_token"] for daemon in DAEMONS}
    assert len(tokens) == 1 and len(tokens.pop().strip()) == 64
    password = named["redis/redis.conf"].removeprefix("requirepass ").strip()
    assert {named[f"{daemon}/redis_url"] for daemon in DAEMONS} == {
        f"redis://:{password}@redis:6379/0\n"
    }
    assert (tmp_path / "secrets").stat().st_mode & 0o777 == 0o700
    env = (tmp_path / ".env").read_text()
    assert "PROXY_DOMAIN=proxy.example.net\n" in env and "example.org" not in env
    for daemon in DAEMONS:
        sample = (DEPLOY / f"{daemon}.conf").read_text()
        copied = re.sub(r"(?m)^(\w.*)example\.org", r"\1example.net", sample)
        assert (tmp_path / f"config/{daemon}.conf").read_text() == copied

    (tmp_path / "secrets/relayd/api_token").unlink()
    status, output = make("other.net")
    assert status == 0 and "wrote relayd/api_token\n" in output
    for path, text in files.items():
        assert path.read_text() == text
    assert "nothing was written" in make()[1]
    assert make("two", "words")[0] == 2
    assert make("a b")[0] == 2


def test_every_file_that_compose_mounts_as_a_secret_is_made(tmp_path):
    subprocess.run([DEPLOY / "make-secrets"], env={**os.environ, "STACK": str(tmp_path)},
                   check=True, capture_output=True)
    text = (DEPLOY / "docker-compose.yml").read_text()
    for service in DAEMONS:
        block = re.search(rf"^  {service}:\n(.*?)^  \w+:$", text + "  end:\n", re.M | re.S)
        for name in re.findall(r"_FILE: /run/secrets/(\w+)", block.group(1)):
            assert (tmp_path / "secrets" / service / name).exists()
