"""A store under a random workload: each step does one thing to it and to the model."""

import datetime
import json
import shutil
import signal
import time

import aq
import judge
from workload.model import CHANGING, Model
from workload.queries import CITIES, Queries, fingerprint

DAY = datetime.timedelta(days=1)
BEGIN = datetime.datetime(2015, 1, 1, tzinfo=datetime.timezone.utc)

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
      n: {{type: bigint}}
{columns}"""
UNIQUE = "    unique: [city, station, ts]\n"
RULES = {
    "plain": "",
    "latest": UNIQUE,
    "earliest": UNIQUE + "    keep: first\n",
    "revised": UNIQUE + "    keep: first\n    version: n\n",
    "highest": UNIQUE + "    version: n\n",
}
TYPES = {"pm25": "double", "note": "text", "extra": "double"}
GARBAGE = ('{"city": "oslo"', '{"city": "lima", "ts": "not a time"}', '{"ts": "2015-01-01T00:00:00Z"}', "[1, 2]")


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


def slot_middle(moment, slot):
    """(beginning, middle) of the slot that the moment lies in."""
    begin = moment.replace(minute=0, second=0, microsecond=0)
    if slot != "hour":
        begin = begin.replace(hour=0)
    if slot == "month":
        begin = begin.replace(day=1)
    return begin, begin + {"hour": DAY / 48, "day": DAY / 2, "month": 14 * DAY}[slot]


class Workload:
    def __init__(self, folder, rng, datasets, bucket=None):
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self.rng, self.bucket = folder, rng, bucket
        self.model = Model(datasets, folder / "rows.json")
        self.tables = list(self.model.tables.values())
        self.clock = Clock()
        self.queries = Queries(rng, self.clock)
        self.store = aq.Store(folder / "home0", folder / "store.yaml", env=dict(bucket.env) if bucket else None)
        self.number = 0  # of rows so far: the value of n
        self.names = 0  # given to columns and homes so far
        self.files = []  # imported ones, with their table
        self.contents = {name: set() for name in datasets}  # a file is known by its bytes
        self.recent = []  # rows to send again
        self.done = []  # names of the steps, for a failure's message
        self.slots = {name: rng.choice(("hour", "day", "month")) for name in datasets}
        self.settings = "compaction: {target_size: 128MiB}\n"
        self.configure()
        for table in self.tables:
            self.step_import(table)
        weights = {name: weight for name, weight in WEIGHTS.items() if bucket or name not in IN_A_BUCKET}
        self.steps, self.weights = list(weights), list(weights.values())

    def configure(self, retention=None):
        """`retention`: of one dataset, (name, YAML)."""
        text = f"store: {self.store.home}\ndatasets:\n"
        for table in self.tables:
            more = RULES[table.name]
            if retention and retention[0] == table.name:
                more += f"    retention: {retention[1]}\n"
            columns = ""
            for column in CHANGING:
                if column in table.visible:
                    more_of_it = f", was: [{', '.join(table.was[column])}]" if table.was[column] else ""
                    more_of_it += ', null_values: ["-"]' if column == "pm25" and table.lenient else ""
                    columns += f"      {table.names[column]}: {{type: {TYPES[column]}{more_of_it}}}\n"
            text += DATASET.format(name=table.name, slot=self.slots[table.name], more=more, columns=columns)
        text += self.settings
        if self.bucket:
            text += (f'tier: {{to: "s3://{self.bucket.name}/{self.folder.name}", endpoint: "{self.bucket.endpoint}",'
                     f" after: 1d, keep_home: {self.rng.choice(('1d', '1d', '100y'))}}}\n")
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
        if rng.random() < 0.5:
            row["extra"] = rng.random()
        return row

    def rows(self, day):
        for _ in range(self.rng.choice((1, 3, 10, 20, 60))):
            row = self.row()
            if day is not None:
                row["ts"] = (day + self.rng.randrange(288) * datetime.timedelta(minutes=5)).isoformat()
            else:
                self.recent.append(row)
            yield row
        self.recent = self.recent[-300:]

    def write_file(self, table, day=None):
        """An NDJSON file of some rows, on that day if one is given, else with some garbage: (file, what the model gets)."""
        rng, lines, messages = self.rng, [], []
        for row in self.rows(day):
            message = table.message(row)
            lines.append(json.dumps(message))
            messages.append((len(self.done), len(lines), message))
            if day is None and rng.random() < 0.03:
                self.number += 1
                bad = json.loads(lines[-1]) | {table.names["pm25"]: "-", "n": self.number}
                lines.append(rng.choice((json.dumps(bad), *GARBAGE)))
                messages.append((len(self.done), len(lines), bad if lines[-1] not in GARBAGE else None))
        file = self.folder / f"{len(self.done):06d}-{table.name}.ndjson"
        file.write_text("\n".join(lines) + "\n")
        return file, messages

    # -- steps: each changes store and model alike; those named in MAINTENANCE change no answer

    def take(self, table, file, messages):
        self.store.load(table.name, file)
        content = hash(file.read_bytes())
        if content not in self.contents[table.name]:
            self.contents[table.name].add(content)
            self.model.add(table, messages)
        self.files.append((table, file))
        if len(self.files) > 20:
            self.files.pop(0)[1].unlink()

    def step_import(self, table=None):
        table = table or self.rng.choice(self.tables)
        self.take(table, *self.write_file(table))

    def kill(self, *command, seconds):
        process = self.store.start(*command)
        time.sleep(self.rng.random() * seconds)
        process.send_signal(signal.SIGKILL)
        process.communicate()

    def step_killed_import(self):
        table = self.rng.choice(self.tables)
        file, messages = self.write_file(table)
        self.kill("import", "--dataset", table.name, file, seconds=0.03)
        self.take(table, file, messages)

    def step_replace(self):
        """A day of one dataset comes anew; keys that the new file lacks vanish with the old."""
        table = self.rng.choice(self.tables)
        day = self.clock.random_moment(self.rng).replace(hour=0, minute=0, second=0)
        file, messages = self.write_file(table, day)
        self.store.run("import", "--dataset", table.name, "--replace", "--span", "day", file)
        self.model.remove(table, f"ts >= '{day.isoformat()}' AND ts < '{(day + DAY).isoformat()}'")
        self.model.add(table, messages)
        file.unlink()

    def step_again(self):
        """Files that the store has: it knows them by their content."""
        table, file = self.rng.choice(self.files)
        assert self.store.load(table.name, file)["rows"] == 0

    def step_change(self):
        """Columns are added, hidden, shown, renamed: the store takes that down when the next import begins."""
        table, column = self.rng.choice(self.tables), self.rng.choice(CHANGING)
        if self.rng.random() < 0.4:
            self.names += 1
            table.rename(column, self.names)
        else:
            table.hide_or_show(column)
        self.recent.clear()  # the same message would be another row
        self.configure()
        self.step_import(table)
        self.model.declare(table)
        if self.rng.random() < 0.5:
            table.was[column].clear()

    def step_replay(self):
        """What was refused and can be read now becomes rows, in one edit."""
        table = self.rng.choice(self.tables)
        if self.rng.random() < 0.5:
            table.lenient = not table.lenient
        self.configure()
        report = json.loads(self.store.run("--json", "rejects", "replay", "--dataset", table.name).text)
        assert sum(entry["rows"] for entry in report["datasets"]) == self.model.replay(table)

    def step_retention(self):
        """Rows of one dataset, or of one of its keys, from before some moment are dropped."""
        table = self.rng.choice(self.tables)
        begin, middle = slot_middle(self.clock.random_moment(self.rng) - 60 * DAY, self.slots[table.name])
        minutes = (datetime.datetime.now(datetime.timezone.utc) - middle) // datetime.timedelta(minutes=1)
        city = self.rng.choice((None, *CITIES[:4]))
        span = f'{{"{city[:2]}*": {minutes}m}}' if city else f"{{default: {minutes}m, rejects: forever}}"
        self.configure((table.name, span))
        self.store.compact()
        self.model.remove(table, f"ts < '{begin.isoformat()}'" + (f" AND city = '{city}'" if city else ""))
        self.configure()

    def step_compact(self):
        """By the clock, long after all slots have closed; by another one, which closes them as time goes on; in part."""
        options = self.rng.choice((
            (),
            ("--now", (self.clock.now - self.rng.choice((0, 0, 5, 100)) * DAY).isoformat()),
            ("--before", self.clock.random_moment(self.rng).isoformat()),
            (self.rng.choice(self.tables).name,),
        ))
        self.store.run("compact", *options)

    def step_killed_compact(self):
        self.kill("compact", seconds=0.05)

    def step_gc(self):
        self.store.run("gc", *self.rng.choice(((), ("--age", "0s"))))

    def step_settings(self):
        """Other sizes, another way of writing files."""
        self.settings = f"compaction: {{target_size: {self.rng.choice(('1MiB', '128MiB'))}}}\n"
        self.store.io = self.rng.choice((None, None, "posix"))
        self.configure()

    def step_verify(self):
        self.store.run("verify", *self.rng.choice(((), ("--deep",))))

    def move(self):
        former, self.names = self.store.home, self.names + 1
        self.store.home = self.folder / f"home{self.names}"
        return former

    def step_restart(self):
        """The home is put back from a copy that lacks what the catalog and the segments can be read without."""
        former = self.move()
        shutil.copytree(former, self.store.home)
        (self.store.home / "catalog/latest").unlink(missing_ok=True)
        for page in self.store.home.glob("segments/*.pub"):
            page.unlink()
        shutil.rmtree(former)
        self.configure()

    def step_tier(self):
        self.store.run("tier")
        mirror = aq.Store(f"s3://{self.bucket.name}/{self.folder.name}", self.store.config, env=self.store.env)
        sql = fingerprint(self.rng.choice(self.tables))
        assert mirror.ndjson(sql) == self.store.ndjson(sql), "the mirror has another answer"

    def step_killed_tier(self):
        self.kill("tier", seconds=0.2)

    def step_restore(self):
        """The home is lost; all had been copied just before."""
        self.store.run("tier")
        shutil.rmtree(self.move())
        self.configure()
        self.store.run("restore", "--from", f"s3://{self.bucket.name}/{self.folder.name}")

    # -- checks

    def check_query(self):
        query = self.queries.any(self.rng.choice(self.tables))
        judge.compare(query, self.store.rows(query.sql.replace(judge.SCALES, "")), self.model.duck.answer(query),
                      self.model.duck.name, may_be_empty=True)

    def check_counts(self, tables):
        for table in tables:
            assert self.store.value(f"SELECT count(*) FROM {table.name}") == self.model.count(table), table.name
            assert self.store.value(f"SELECT count(*) FROM {table.name}_rejects") == len(table.rejects), table.name

    def step(self):
        """One random step, with its checks."""
        (name,) = self.rng.choices(self.steps, self.weights)
        self.done.append(name)
        self.clock.step(self.rng)
        sql = fingerprint(self.rng.choice(self.tables))
        before = self.store.ndjson(sql) if name in MAINTENANCE and self.rng.random() < 0.5 else None
        getattr(self, f"step_{name}")()
        if before is not None:
            assert self.store.ndjson(sql) == before, f"{name} changed an answer"
        if self.rng.random() < 0.05:
            self.check_counts([self.rng.choice(self.tables)])
        self.check_query()


IN_A_BUCKET = {"tier", "killed_tier", "restore"}
MAINTENANCE = {"again", "compact", "killed_compact", "gc", "settings", "verify", "restart"} | IN_A_BUCKET
WEIGHTS = {
    "import": 400,
    "killed_import": 30,
    "replace": 40,
    "again": 20,
    "change": 20,
    "replay": 20,
    "retention": 15,
    "compact": 120,
    "killed_compact": 30,
    "gc": 30,
    "settings": 15,
    "verify": 10,
    "restart": 10,
    "tier": 30,
    "killed_tier": 10,
    "restore": 5,
}
