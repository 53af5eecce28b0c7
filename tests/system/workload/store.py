"""A store under a random workload: each step does one thing to it and to the model."""

import datetime
import json
import signal
import time

import aq
import judge
from workload.model import VIEWS, Model
from workload.queries import CITIES, Queries, fingerprint

DAY = datetime.timedelta(days=1)
BEGIN = datetime.datetime(2024, 1, 1, tzinfo=datetime.timezone.utc)

DATASET = """
  {name}:
    key: city
    time: ts
    slot: {slot}
    series: [station]
{more}    columns:
      city: {{type: text, required: true}}
      station: {{type: bigint}}
      ts: {{type: timestamptz, required: true}}
      pm25: {{type: double}}
      n: {{type: bigint}}
      note: {{type: text}}
{columns}"""
UNIQUE = {
    "plain": "",
    "latest": "    unique: [city, station, ts]\n",
    "revised": "    unique: [city, station, ts]\n    keep: first\n    version: rev\n",
}
GARBAGE = ('{"city": "oslo"', '{"city": "lima", "ts": "not a time"}', '{"ts": "2024-01-01T00:00:00Z"}', "[1, 2]")


class Clock:
    """Event time moves on with each step; late rows lie up to a year behind."""

    def __init__(self):
        self.now = BEGIN

    def step(self, rng):
        self.now += datetime.timedelta(seconds=rng.choice((60, 3600, 3600, 20000)))

    def random_moment(self, rng):
        back = rng.choice((1, 1, 1, 3, 30, 400))
        moment = self.now - rng.random() * back * DAY
        return moment.replace(microsecond=0) - datetime.timedelta(minutes=moment.minute % 5, seconds=moment.second)


class Workload:
    def __init__(self, folder, rng, datasets=tuple(VIEWS), bucket=None):
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self.rng, self.bucket = folder, rng, bucket
        self.model = Model(datasets)
        self.clock = Clock()
        self.queries = Queries(rng, self.clock)
        self.store = aq.Store(folder / "home", folder / "store.yaml", env=dict(bucket.env) if bucket else None)
        self.number = 0  # of rows so far: the value of n
        self.files = []  # imported ones, with their dataset
        self.recent = []  # rows to send again
        self.done = []  # names of the steps, for a failure's message
        self.slots = {name: rng.choice(("hour", "day", "month")) for name in datasets}
        self.with_extra = False
        self.configure()
        for name in datasets:
            self.step_import(name)

    def configure(self):
        text = f"store: {self.folder / 'home'}\ndatasets:\n"
        for name in self.model.datasets:
            columns = "      extra: {type: double}\n" if self.with_extra else ""
            columns += "      rev: {type: bigint, from: n}\n" if name == "revised" else ""
            text += DATASET.format(name=name, slot=self.slots[name], more=UNIQUE[name], columns=columns)
        target = self.rng.choice(("1MiB", "128MiB"))
        text += f"compaction: {{target_size: {target}}}\n"
        if self.bucket:
            text += (f'tier: {{to: "s3://{self.bucket.name}/{self.folder.name}", endpoint: "{self.bucket.endpoint}",'
                     " after: 1d, keep_home: 1d}\n")
        self.store.config.write_text(text)

    # -- rows

    def row(self):
        rng = self.rng
        self.number += 1
        row = {"city": rng.choice(CITIES[:5]), "ts": self.clock.random_moment(rng).isoformat(), "n": self.number}
        if self.recent and rng.random() < 0.3:
            old = rng.choice(self.recent)
            if rng.random() < 0.3:
                return dict(old)  # the same once more
            row.update({name: old[name] for name in ("city", "station", "ts") if name in old})
        elif rng.random() < 0.95:
            row["station"] = rng.randrange(4)
        if rng.random() < 0.9:
            row["pm25"] = rng.choice((rng.randrange(400) / 4, round(rng.gauss(50, 30), 1), 0.1 + 0.2, -0.0))
        if rng.random() < 0.5:
            row["note"] = rng.choice(("a", "bb", "abc", "ü", "b" * 40))
        if self.with_extra and rng.random() < 0.5:
            row["extra"] = rng.random()
        return row

    def write_file(self):
        """An NDJSON file of some rows and some garbage: (file, the model's copy, rejects)."""
        rng = self.rng
        rows = [self.row() for _ in range(rng.choice((1, 3, 10, 20, 60)))]
        self.recent = (self.recent + rows)[-300:]
        name = f"{self.number:08d}"
        file, good = self.folder / f"{name}.ndjson", self.folder / "good.json"
        rejects = 0
        with file.open("w") as out, good.open("w") as kept:
            for record, row in enumerate(rows):
                out.write(json.dumps(row) + "\n")
                kept.write(json.dumps({**row, "record": record}) + "\n")
                if rng.random() < 0.02:
                    out.write(rng.choice(GARBAGE) + "\n")
                    rejects += 1
        return file, good, rejects

    # -- steps: each changes store and model alike; those named in MAINTENANCE change no answer

    def step_import(self, dataset=None):
        dataset = dataset or self.rng.choice(self.model.datasets)
        file, good, rejects = self.write_file()
        self.store.load(dataset, file)
        self.model.add(dataset, good, len(self.done), rejects)
        self.files.append((dataset, file))
        if len(self.files) > 20:
            self.files.pop(0)[1].unlink()

    def step_killed_import(self):
        dataset = self.rng.choice(self.model.datasets)
        file, good, rejects = self.write_file()
        process = self.store.start("import", "--dataset", dataset, file)
        time.sleep(self.rng.random() * 0.03)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        self.store.load(dataset, file)
        self.model.add(dataset, good, len(self.done), rejects)

    def step_replace(self):
        """A day of one dataset comes anew; keys that the new file lacks vanish with the old."""
        dataset = self.rng.choice(self.model.datasets)
        day = self.clock.random_moment(self.rng).replace(hour=0, minute=0, second=0)
        file, good, rejects = self.write_file()
        rows = [json.loads(line) for line in good.read_text().splitlines()]
        for row in rows:
            row["ts"] = (day + self.rng.randrange(288) * datetime.timedelta(minutes=5)).isoformat()
        file.write_text("".join(json.dumps({k: v for k, v in row.items() if k != "record"}) + "\n" for row in rows))
        good.write_text("".join(json.dumps({**row, "record": i}) + "\n" for i, row in enumerate(rows)))
        self.store.run("import", "--dataset", dataset, "--replace", "--span", "day", file)
        self.model.remove(dataset, f"ts >= '{day.isoformat()}' AND ts < '{(day + DAY).isoformat()}'")
        self.model.add(dataset, good, len(self.done), 0)

    def step_again(self):
        if self.files:
            dataset, file = self.rng.choice(self.files)
            self.store.load(dataset, file)

    def step_compact(self):
        self.store.compact()

    def step_killed_compact(self):
        process = self.store.start("compact")
        time.sleep(self.rng.random() * 0.05)
        process.send_signal(signal.SIGKILL)
        process.communicate()

    def step_gc(self):
        self.store.run("gc")

    def step_tier(self):
        if self.bucket:
            self.store.run("tier")

    def step_settings(self):
        """Another target size; now and then another column, which earlier rows do not have."""
        self.with_extra = self.with_extra or self.rng.random() < 0.2
        self.configure()

    def step_verify(self):
        self.store.run("verify")

    # -- checks

    def fingerprints(self):
        return {name: self.store.ndjson(fingerprint(name)) for name in self.model.datasets}

    def check_query(self):
        query = self.queries.any(self.rng.choice(self.model.datasets))
        judge.compare(query, self.store.rows(query.sql.replace(judge.SCALES, "")), self.model.duck.answer(query),
                      self.model.duck.name, may_be_empty=True)

    def check_counts(self):
        for name in self.model.datasets:
            assert self.store.value(f"SELECT count(*) FROM {name}") == self.model.count(name), name

    def step(self):
        """One random step, with its checks."""
        name = self.rng.choices(list(WEIGHTS), list(WEIGHTS.values()))[0]
        self.done.append(name)
        self.clock.step(self.rng)
        before = self.fingerprints() if name in MAINTENANCE and self.rng.random() < 0.5 else None
        getattr(self, f"step_{name}")()
        if before is not None:
            assert self.fingerprints() == before, f"{name} changed an answer"
        if self.rng.random() < 0.2:
            self.check_counts()
        self.check_query()


MAINTENANCE = {"again", "compact", "killed_compact", "gc", "tier", "settings", "verify"}
WEIGHTS = {
    "import": 40,
    "killed_import": 4,
    "replace": 4,
    "again": 3,
    "compact": 12,
    "killed_compact": 4,
    "gc": 4,
    "tier": 2,
    "settings": 2,
    "verify": 1,
}
