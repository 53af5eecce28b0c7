"""A store whose archives move into a bucket on a real S3 server, and what a restore makes of it."""

import datetime
import json

import aq

CONFIG = """
store: {home}
datasets:
  air:
    key: city
    time: ts
    series: [station]
    columns:
      city: {{type: text, required: true}}
      station: {{type: bigint}}
      ts: {{type: timestamptz, required: true}}
      pm25: {{type: double}}
views:
  dirty: SELECT city, max(pm25) AS worst FROM air GROUP BY city
tier: {{to: "s3://{bucket}/{prefix}", endpoint: "{endpoint}", after: 30d, keep_home: 60d, protect: {protect}}}
"""


class Tiered(aq.Store):
    """A store with two archives' worth of files compacted, one segment sealed, and rejects."""

    def __init__(self, folder, bucket, prefix="store", endpoint=None, protect="1h", home="home"):
        folder.mkdir(parents=True, exist_ok=True)
        super().__init__(folder / home, folder / f"{home}.yaml", env=dict(bucket.env))
        self.bucket, self.prefix = bucket, prefix
        self.point(endpoint or bucket.endpoint, protect)

    def point(self, endpoint, protect="1h"):
        values = {"home": self.home, "bucket": self.bucket.name, "prefix": self.prefix}
        self.config.write_text(CONFIG.format(endpoint=endpoint, protect=protect, **values))

    @property
    def url(self):
        return f"s3://{self.bucket.name}/{self.prefix}"

    def fill(self):
        start = datetime.datetime(2024, 1, 1)
        for number in range(3):
            file = self.home.parent / f"part{number}.ndjson"
            with file.open("w") as out:
                for row in range(500):
                    ts = start + datetime.timedelta(minutes=7 * (row + 500 * number))
                    values = {"city": ("hanoi", "oslo")[row % 2], "station": row % 5, "ts": ts.isoformat() + "Z"}
                    out.write(json.dumps({**values, "pm25": row / 10}) + "\n")
                out.write('{"city": "nowhere"}\n')
            self.load("air", file)
            if number == 1:
                self.compact()
        return self

    def tier(self, *options, **checks):
        result = self.run("--json", "tier", *options, **checks)
        return json.loads(result.text) if result.code == aq.DONE else result

    def data(self):
        return {name for name in self.bucket.objects() if name.startswith(f"{self.prefix}/data/")}

    def orphans(self):
        """Objects that gc would remove at once."""
        removed = json.loads(self.run("--json", "gc", "--dry-run", "--age", "0s").text)["files"]
        names = {entry["file"].removeprefix(f"s3://{self.bucket.name}/") for entry in removed}
        return {name for name in names if name.startswith(f"{self.prefix}/data/")}


def restore(store, home):
    restored = aq.Store(home, env={**store.env, "AWS_ENDPOINT_URL": store.bucket.endpoint})
    report = restored.run("--json", "restore", "--from", store.url)
    return restored, json.loads(report.text)
