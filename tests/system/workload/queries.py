"""Random queries over the datasets of a workload; every answer is defined completely."""

import judge

CITIES = ("oslo", "hanoi", "lima", "graz", "şile", "")


class Queries:
    def __init__(self, rng, clock):
        self.rng = rng
        self.clock = clock

    def moment(self):
        return f"'{self.clock.random_moment(self.rng).isoformat()}'"

    def condition(self):
        rng = self.rng
        low, high = sorted((self.moment(), self.moment()))
        return rng.choice((
            f"city = '{rng.choice(CITIES)}'",
            f"city IN ('{rng.choice(CITIES)}', '{rng.choice(CITIES)}')",
            f"city > '{rng.choice(CITIES)}'",
            f"ts >= {low} AND ts < {high}",
            f"ts < {low}",
            f"ts >= {self.moment()}",
            f"station = {rng.randrange(4)}",
            f"station IS {rng.choice(('', 'NOT '))}NULL",
            f"pm25 {rng.choice(('<', '>=', '=', '<>'))} {rng.randrange(400) / 4}",
            f"note LIKE '{rng.choice(('%a%', 'b%', '%'))}'",
            f"n % {rng.randrange(2, 7)} = 0",
        ))

    def where(self):
        count = self.rng.choice((0, 1, 1, 2))
        return " WHERE " + " AND ".join(f"({self.condition()})" for _ in range(count)) if count else ""

    def key(self):
        rng = self.rng
        return rng.choice((
            "city",
            "station",
            f"date_trunc('{rng.choice(('day', 'month', 'year', 'hour'))}', ts)",
            f"time_bucket('{rng.choice(('1 day', '6 hours', '7 days'))}', ts)",
            "note",
            "n % 5",
        ))

    def grouped(self, dataset):
        rng = self.rng
        keys = [f"{self.key()} AS k{i}" for i in range(rng.choice((0, 1, 1, 2)))]
        calls = rng.sample(
            ("count(*)", "count(pm25)", "sum(pm25)", "avg(pm25)", "min(pm25)", "max(ts)", "min(ts)", "sum(n)", "max(n)",
             "count(DISTINCT city)", "stddev_pop(pm25)", "max(note)", "count(DISTINCT n)"), rng.randrange(2, 5))
        names, scales = [], {}
        for number, call in enumerate(calls):
            names.append(f"{call} AS a{number}")
            if call in ("sum(pm25)", "avg(pm25)", "stddev_pop(pm25)"):
                scales[f"a{number}"] = "coalesce(sum(abs(pm25)), 0) + 1" if call[0] == "s" else "1000"
        order = [f"k{i}" for i in range(len(keys))]
        sql = f"SELECT {', '.join(keys + names)}{judge.SCALES} FROM {dataset}{self.where()}"
        if keys:
            numbers = ", ".join(str(i + 1) for i in range(len(keys)))
            sql += f" GROUP BY {numbers} ORDER BY {', '.join(order)}"
        return judge.Query(dataset, sql, scales)

    def listed(self, dataset):
        limit = f" LIMIT {self.rng.randrange(1, 30)}" if self.rng.random() < 0.5 else ""
        columns = "n, city, station, ts, pm25, note"
        return judge.Query(dataset, f"SELECT {columns} FROM {dataset}{self.where()} ORDER BY n, ts, city, station{limit}")

    def any(self, dataset):
        return self.grouped(dataset) if self.rng.random() < 0.75 else self.listed(dataset)


def fingerprint(dataset):
    """Depends on every row that counts: compared byte by byte before and after maintenance."""
    return (
        "SELECT city, station, count(*), count(pm25), sum(pm25), avg(pm25), stddev(pm25), min(ts), max(ts), sum(n),"
        " sum(n * (n % 1000)), min(note), max(note), first(n, ts), last(pm25, ts)"
        f" FROM {dataset} GROUP BY city, station ORDER BY city, station"
    )
