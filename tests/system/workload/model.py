"""What a store must answer, kept as plain tables: no file, no order of arrival beyond a number, no maintenance."""

import judge

# Declared name -> type for DuckDB; the config says the same in aqstore's words.
COLUMNS = {
    "city": "VARCHAR",
    "station": "BIGINT",
    "ts": "TIMESTAMPTZ",
    "pm25": "DOUBLE",
    "n": "BIGINT",
    "note": "VARCHAR",
    "extra": "DOUBLE",
}
# Of each dataset the rows that count, in the order in which they came.
VIEWS = {
    "plain": "SELECT * FROM all_plain",
    "latest": "SELECT * FROM all_latest QUALIFY row_number() OVER"
    " (PARTITION BY city, station, ts ORDER BY step DESC, record DESC) = 1",
    "revised": "SELECT * FROM all_revised QUALIFY row_number() OVER"
    " (PARTITION BY city, station, ts ORDER BY n, step, record) = 1",
}


class Model:
    def __init__(self, datasets):
        self.duck = judge.Duck()
        self.datasets = datasets
        for name in datasets:
            columns = ", ".join(f"{column} {kind}" for column, kind in COLUMNS.items())
            self.duck.execute(f"CREATE TABLE all_{name} ({columns}, step BIGINT, record BIGINT)")
            self.duck.execute(f"CREATE VIEW {name} AS {VIEWS[name]}")
            self.duck.execute(f"CREATE TABLE {name}_rejects (n BIGINT)")

    def add(self, dataset, file, step, rejects):
        """The good lines of an imported file; `record` is the line's number."""
        kinds = ", ".join(f"'{column}': '{kind}'" for column, kind in COLUMNS.items())
        self.duck.execute(
            f"INSERT INTO all_{dataset} SELECT {', '.join(COLUMNS)}, {step}, record FROM read_json('{file}',"
            f" format = 'newline_delimited', columns = {{{kinds}, 'record': 'BIGINT'}})"
        )
        if rejects:
            self.duck.execute(f"INSERT INTO {dataset}_rejects SELECT range FROM range({rejects})")

    def remove(self, dataset, condition):
        self.duck.execute(f"DELETE FROM all_{dataset} WHERE {condition}")

    def count(self, dataset):
        return self.duck.execute(f"SELECT count(*) FROM {dataset}").fetchone()[0]
