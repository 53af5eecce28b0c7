"""Random queries over the datasets of a workload; every answer is defined completely."""

import judge

CITIES = ("oslo", "hanoi", "lima", "graz", "şile", "")


class Queries:
    def __init__(self, rng, clock):
        self.rng = rng
        self.clock = clock

    def moment(self):
        return f"'{self.clock.random_moment(self.rng).isoformat()}'"

    def value(self, table):
        """A column of numbers; there is always n."""
        shown = [table.shown(column) for column in ("pm25", "pm25", "extra") if table.shown(column)]
        return self.rng.choice(shown or ["n"])

    def text(self, table):
        return table.shown("note") or "city"

    def condition(self, table):
        rng = self.rng
        low, high = sorted((self.moment(), self.moment()))
        value = self.value(table)
        return rng.choice((
            f"city = '{rng.choice(CITIES)}'",
            f"city IN ('{rng.choice(CITIES)}', '{rng.choice(CITIES)}')",
            f"city > '{rng.choice(CITIES)}'",
            f"ts >= {low} AND ts < {high}",
            f"ts < {low}",
            f"ts >= {self.moment()}",
            f"station = {rng.randrange(4)}",
            f"station IS {rng.choice(('', 'NOT '))}NULL",
            f"{value} {rng.choice(('<', '>=', '=', '<>'))} {rng.randrange(400) / 4}",
            f"{value} IS {rng.choice(('', 'NOT '))}NULL",
            f"{self.text(table)} LIKE '{rng.choice(('%a%', 'b%', '%'))}'",
            f"n % {rng.randrange(2, 7)} = 0",
        ))

    def where(self, table):
        count = self.rng.choice((0, 1, 1, 2))
        return " WHERE " + " AND ".join(f"({self.condition(table)})" for _ in range(count)) if count else ""

    def key(self, table):
        rng = self.rng
        return rng.choice((
            "city",
            "station",
            f"date_trunc('{rng.choice(('day', 'month', 'year', 'hour'))}', ts)",
            f"time_bucket('{rng.choice(('1 day', '6 hours', '7 days'))}', ts)",
            self.text(table),
            "n % 5",
        ))

    def grouped(self, table):
        rng = self.rng
        keys = [f"{self.key(table)} AS k{i}" for i in range(rng.choice((0, 1, 1, 2)))]
        value = self.value(table)
        rounded = {f"sum({value})": f"coalesce(sum(abs({value})), 0) + 1",
                   f"avg({value})": f"coalesce(max(abs({value})), 0) + 1",
                   f"stddev_pop({value})": f"coalesce(sum(abs({value})), 0) + 1"}
        calls = rng.sample(
            ("count(*)", f"count({value})", *rounded, f"min({value})", "max(ts)", "min(ts)", "sum(n)", "max(n)",
             "count(DISTINCT city)", f"max({self.text(table)})", "count(DISTINCT n)"), rng.randrange(2, 5))
        names = [f"{call} AS a{number}" for number, call in enumerate(calls)]
        scales = {f"a{number}": rounded[call] for number, call in enumerate(calls) if call in rounded}
        sql = f"SELECT {', '.join(keys + names)}{judge.SCALES} FROM {table.name}{self.where(table)}"
        if keys:
            numbers = ", ".join(str(i + 1) for i in range(len(keys)))
            sql += f" GROUP BY {numbers} ORDER BY {', '.join(f'k{i}' for i in range(len(keys)))}"
        return judge.Query(table.name, sql, scales)

    def listed(self, table):
        limit = f" LIMIT {self.rng.randrange(1, 30)}" if self.rng.random() < 0.5 else ""
        columns = ["n", "city", "station", "ts", *(table.names[column] for column in sorted(table.visible))]
        return judge.Query(table.name, f"SELECT {', '.join(columns)} FROM {table.name}{self.where(table)}"
                           f" ORDER BY {', '.join(columns)}{limit}")

    def any(self, table):
        return self.grouped(table) if self.rng.random() < 0.75 else self.listed(table)


def fingerprint(table):
    """Depends on every row that counts: compared byte by byte before and after maintenance."""
    calls = "".join(f", count({name}), min({name}), max({name}), first({name}, ts), last({name}, ts)"
                    for name in (table.shown(column) for column in ("pm25", "note", "extra")) if name)
    calls += "".join(f", sum({name}), avg({name}), stddev({name})"
                     for name in (table.shown(column) for column in ("pm25", "extra")) if name)
    return (f"SELECT city, station, count(*), min(ts), max(ts), sum(n), sum(n * (n % 1000)), first(n, ts){calls}"
            f" FROM {table.name} GROUP BY city, station ORDER BY city, station")
