"""What a store must answer, kept as plain tables: no file, no order of arrival beyond a number, no maintenance."""

import json

import judge

# Column of the model -> type for DuckDB; the config says the same in aqstore's words.
COLUMNS = {
    "city": "VARCHAR",
    "station": "BIGINT",
    "ts": "TIMESTAMPTZ",
    "pm25": "DOUBLE",
    "n": "BIGINT",
    "note": "VARCHAR",
    "extra": "DOUBLE",
}
CHANGING = ("pm25", "note", "extra")  # those that are hidden, shown and renamed
# Of re-sent readings the one that counts comes first in this order; None: all rows count.
DATASETS = {
    "plain": None,
    "latest": "step DESC, record DESC",
    "earliest": "step, record",
    "revised": "n",
    "highest": "n DESC",
}


class Table:
    """A dataset: how its columns are called now, and which messages it refused."""

    def __init__(self, name):
        self.name = name
        self.names = {column: column for column in CHANGING}
        self.was = {column: [] for column in CHANGING}
        self.visible = {"pm25", "note"}  # extra is declared later
        self.known = set(self.visible)  # by the store, hidden or not
        self.lenient = False  # takes "-" for null
        self.rejects = []  # (step, record, message); the message is None if nothing can mend it

    def shown(self, column):
        """The column's name in SQL, or None."""
        return self.names[column] if column in self.visible else None

    def rename(self, column, number):
        if column in self.known:
            self.was[column].insert(0, self.names[column])
        self.names[column] = f"{column}_{number}"
        self.visible.add(column)
        self.known.add(column)

    def hide_or_show(self, column):
        self.visible ^= {column}
        self.known |= self.visible

    def message(self, row):
        """A row as its sender would put it now; what the store has hidden is sent, too."""
        return {self.names.get(column, column): value for column, value in row.items()}

    def decode(self, message):
        """The row that a message becomes as the columns are declared now; None: it is refused."""
        if message is None:
            return None
        row = {column: message[column] for column in COLUMNS if column not in CHANGING and column in message}
        for column in self.visible & {column for column in CHANGING if self.names[column] in message}:
            value = message[self.names[column]]
            if value == "-":
                if not self.lenient:
                    return None
                value = None
            row[column] = value
        return row


class Model:
    def __init__(self, datasets, scratch):
        self.duck = judge.Duck()
        self.duck.execute("SET threads = 1")
        self.scratch = scratch  # a file for rows on their way into DuckDB
        self.tables = {name: Table(name) for name in datasets}
        for table in self.tables.values():
            columns = ", ".join(f"{column} {kind}" for column, kind in COLUMNS.items())
            self.duck.execute(f"CREATE TABLE all_{table.name} ({columns}, step BIGINT, record BIGINT)")
            self.declare(table)

    def declare(self, table):
        """Of a dataset the rows that count, by the names that its columns have now."""
        columns = [column if column not in CHANGING else f"{column} AS {table.shown(column)}"
                   for column in COLUMNS if column not in CHANGING or table.shown(column)]
        order = DATASETS[table.name]
        counts = f" QUALIFY row_number() OVER (PARTITION BY city, station, ts ORDER BY {order}) = 1" if order else ""
        self.duck.execute(f"CREATE OR REPLACE VIEW {table.name} AS SELECT {', '.join(columns)}"
                          f" FROM (SELECT * FROM all_{table.name}{counts})")

    def add(self, table, messages):
        """(step, record, message), as they come, or once more after a change of what is refused."""
        rows = []
        for step, record, message in messages:
            row = table.decode(message)
            if row is None:
                table.rejects.append((step, record, message))
            else:
                rows.append(json.dumps({**row, "step": step, "record": record}) + "\n")
        if rows:
            self.scratch.write_text("".join(rows))
            kinds = ", ".join(f"'{column}': '{kind}'" for column, kind in COLUMNS.items())
            self.duck.execute(
                f"INSERT INTO all_{table.name} SELECT {', '.join(COLUMNS)}, step, record FROM read_json('{self.scratch}',"
                f" format = 'newline_delimited', columns = {{{kinds}, 'step': 'BIGINT', 'record': 'BIGINT'}})"
            )

    def replay(self, table):
        rejects, table.rejects = table.rejects, []
        self.add(table, rejects)
        return len(rejects) - len(table.rejects)

    def remove(self, table, condition):
        self.duck.execute(f"DELETE FROM all_{table.name} WHERE {condition}")

    def count(self, table):
        return self.duck.execute(f"SELECT count(*) FROM {table.name}").fetchone()[0]
