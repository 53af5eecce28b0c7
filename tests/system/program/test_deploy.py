"""What is in deploy/ works as it stands: units that systemd takes, commands that the program takes, manifests that parse."""

import pathlib
import shlex
import shutil
import subprocess

import pytest
import yaml

import aq

DEPLOY = aq.PROJECT / "deploy"
CONFIG = """\
store: ./elsewhere
datasets: {air: {time: ts, columns: {n: {type: bigint}, ts: {type: timestamptz, format: epoch_s, required: true}}}}
"""


@pytest.fixture
def config(tmp_path):
    file = tmp_path / "aqstore.yaml"
    file.write_text(CONFIG)
    (tmp_path / "rows.ndjson").write_text("".join(f'{{"n": {n}, "ts": {n}}}\n' for n in range(100)))
    aq.Store(tmp_path / "aqstore", file).load("air", tmp_path / "rows.ndjson")
    return file


def documents(name):
    return {one["kind"]: one for one in yaml.safe_load_all((DEPLOY / "kubernetes" / name).read_text())}


def exec_starts(unit):
    return [line.split("=", 1)[1] for line in unit.read_text().splitlines() if line.lstrip("#").startswith("ExecStart=")]


def adapt(words, config):
    """A command of deploy/ on this machine: our binary, config and store."""
    places = {"/usr/local/bin/aqstore": str(aq.BINARY), "/etc/aqstore/aqstore.yaml": str(config)}
    return [places.get(word, word).replace("%S", str(config.parent)) for word in words]


def run_all_but_tier(words, config):
    """Without a bucket `--tier` is refused, after the rest was done."""
    done = subprocess.run(adapt(words, config), capture_output=True, text=True, cwd=config.parent, check=False)
    assert done.returncode == (aq.USAGE if "--tier" in words else aq.DONE), (words, done)


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="no systemd here")
def test_systemd_takes_the_units(tmp_path):
    units = sorted([*DEPLOY.glob("*.service"), *DEPLOY.glob("*.timer")])
    assert len(units) == 3
    for unit in units:
        (tmp_path / unit.name).write_text(unit.read_text().replace("/usr/local/bin/aqstore", str(aq.BINARY)))
    command = ["systemd-analyze", "verify", "--man=no", *(tmp_path / unit.name for unit in units)]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False)
    about_ours = [line for line in done.stderr.splitlines() if "aqstore" in line]
    assert not about_ours, about_ours


def test_the_unit_compacts(config):
    commands = exec_starts(DEPLOY / "aqstore-compact.service")
    assert len(commands) == 2
    for command in commands:
        run_all_but_tier(shlex.split(command), config)
    store = aq.Store(config.parent / "aqstore")
    assert len(store.files("archives")) == 1 and store.value("SELECT count(*) FROM air") == 100


def test_the_units_share_user_store_and_armour():
    def settings(name):
        lines = [line for line in (DEPLOY / name).read_text().splitlines() if "=" in line and not line.startswith("#")]
        return {line for line in lines if line.split("=")[0] not in ("ExecStart", "Description")}

    ingest, compact = settings("aqstore-ingest.service"), settings("aqstore-compact.service")
    assert {"User=aqstore", "DynamicUser=yes", "StateDirectory=aqstore", "UMask=0077"} <= ingest & compact
    assert {line for line in ingest if line.startswith(("Protect", "Restrict", "Private", "System", "Cap"))} <= compact


def test_the_cron_line_compacts(config):
    (line,) = [line for line in (DEPLOY / "aqstore.cron").read_text().splitlines() if line and not line.startswith("#")]
    minute, hour, day, month, weekday, user, command = line.split(None, 6)
    assert 0 <= int(minute) < 60 and 0 <= int(hour) < 24 and (day, month, weekday, user) == ("*", "*", "*", "aqstore")
    assert "%" not in command  # a newline, to cron
    words = [word for word in shlex.split(command) if not word.startswith(">")]
    run_all_but_tier([*words[:1], "--store", "%S/aqstore", *words[1:]], config)
    assert aq.Store(config.parent / "aqstore").files("archives")


def test_the_manifests_belong_together(config, tmp_path):
    main, job = documents("aqstore.yaml"), documents("aqstore-compact.yaml")
    assert set(main) == {"ConfigMap", "PersistentVolumeClaim", "Deployment"} and set(job) == {"CronJob"}
    deployment, cron = main["Deployment"]["spec"], job["CronJob"]["spec"]
    assert deployment["replicas"] == 1 and deployment["strategy"]["type"] == "Recreate"
    assert cron["concurrencyPolicy"] == "Forbid"
    pods = [deployment["template"], cron["jobTemplate"]["spec"]["template"]]
    containers = [pod["spec"]["containers"][0] for pod in pods]
    for pod, container in zip(pods, containers):
        volumes = {volume["name"]: volume for volume in pod["spec"]["volumes"]}
        assert {mount["name"] for mount in container["volumeMounts"]} == set(volumes)
        assert volumes["store"]["persistentVolumeClaim"]["claimName"] == main["PersistentVolumeClaim"]["metadata"]["name"]
        assert volumes["config"]["configMap"]["name"] == main["ConfigMap"]["metadata"]["name"]
    near = pods[1]["spec"]["affinity"]["podAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"][0]
    assert near["labelSelector"]["matchLabels"].items() <= pods[0]["metadata"]["labels"].items()
    rules = cron["jobTemplate"]["spec"]["podFailurePolicy"]["rules"]
    assert rules[0]["onExitCodes"]["containerName"] == containers[1]["name"]
    words = ["/usr/local/bin/aqstore", "--store", "%S/aqstore", *containers[1]["args"]]
    run_all_but_tier(words, config)
    # The config that they mount is one.
    token = tmp_path / "http-token"
    token.write_text("secret\n")
    text = main["ConfigMap"]["data"]["aqstore.yaml"].replace("/etc/aqstore/secrets/http-token", str(token))
    file = tmp_path / "mounted.yaml"
    file.write_text(text)
    aq.run("--config", file, "config", "check")
    mounts = {mount["name"]: pathlib.Path(mount["mountPath"]) for mount in containers[0]["volumeMounts"]}
    assert pathlib.Path(yaml.safe_load(text)["store"]).is_relative_to(mounts["store"])
