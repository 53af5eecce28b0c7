"""What the edits of a catalog add up to, from docs/catalog-format.md alone: files, feeds, claims, masks, tombstones."""

from dataclasses import dataclass, field

from cursor import must

SEGMENT, ARCHIVE = "segment", "archive"


@dataclass
class File:
    kind: str
    epoch: int = None  # of a segment's writer
    held: bool = False
    edit: int = None  # which closed or added it; None: it is open
    frames: int = None  # of a closed segment
    valid_bytes: int = None  # where they end
    checksum: int = None  # of the last one's header
    bytes: int = 0  # of an archive or a sealed segment
    hash: str = None  # of an archive's content
    root: bytes = None  # an archive's
    entries: list = field(default_factory=list)
    place: tuple = None  # (object, hash)
    evicted: bool = False


def removes_all_of(one, other):
    """Whether tombstone `one` removes all that `other` does."""
    keys = not one.keys or (other.keys and set(other.keys) <= set(one.keys))
    return keys and one.dataset == other.dataset and one.begin <= other.begin and one.until >= other.until and one.edit >= other.edit


class State:
    """As of edit `number`, whose checksum the next edit has to name."""

    def __init__(self):
        self.number, self.checksum = 0, 0
        self.store, self.incarnation = None, None
        self.schemas, self.views = {}, {}  # dataset -> {version: schema}; name -> SQL
        self.files, self.feeds, self.positions, self.claims = {}, {}, {}, {}
        self.masks, self.tombstones, self.lost, self.complete = {}, [], {}, {}
        self.next = {"file": 1, "feed": 1, "epoch": 1, "dataset": 1}

    def apply(self, edit):
        if edit.is_checkpoint:
            must(self.number == 0, f"checkpoint {edit.number}: behind an edit")
        else:
            must(edit.number == self.number + 1 and edit.before == self.checksum, f"edit {edit.number}: not the next one")
        self.number = edit.number
        self.checksum = edit.before if edit.is_checkpoint else edit.checksum
        for record in edit.records:
            getattr(self, "_" + type(record).__name__.lower())(record)
        self._drop_tombstones()

    def _new(self, kind, number):
        must(number >= self.next[kind], f"edit {self.number}: {kind} {number} was there before")
        self.next[kind] = number + 1

    def _closed(self, record):
        file = self.files.get(record.file)
        must(file and file.edit is not None, f"edit {self.number}: file {record.file} is not closed, or not there")
        return file

    def _opened(self, record):
        file = self.files.get(record.file)
        must(file and file.edit is None, f"edit {self.number}: file {record.file} is not open")
        return file

    def _store(self, record):
        must(self.store is None and record.incarnation, f"edit {self.number}: the store's identity")
        self.store, self.incarnation = record.id, record.incarnation

    def _dataset(self, record):
        schema = record.schema
        if schema.dataset not in self.schemas:
            self._new("dataset", schema.dataset)
        versions = self.schemas.setdefault(schema.dataset, {})
        must(schema.version > max(versions, default=0), f"edit {self.number}: version {schema.version} of a dataset")
        versions[schema.version] = schema
        names = {other.name for dataset, declared in self.schemas.items() if dataset != schema.dataset for other in declared.values()}
        must({other.name for other in versions.values()} == {schema.name} and schema.name not in names, f"edit {self.number}: a dataset's name")

    def _view(self, record):
        self.views.pop(record.name, None)
        if record.sql:
            self.views[record.name] = record.sql

    def _new_file(self, number, file):
        must(all(entry.version in self.schemas.get(entry.dataset, ()) for entry in file.entries), f"edit {self.number}: rows undeclared")
        self._new("file", number)
        self.files[number] = file

    def _open(self, record):
        self._new_file(record.file, File(SEGMENT, record.epoch))
        self._new("epoch", record.epoch)

    def _hold(self, record):
        self._opened(record).held = True

    def _close(self, record):
        file = self._opened(record)
        file.edit, file.held = self.number, False
        file.frames, file.valid_bytes, file.bytes = record.frames, record.valid_bytes, record.file_bytes
        file.checksum, file.entries = record.checksum, record.entries
        must(all(entry.version in self.schemas.get(entry.dataset, ()) for entry in file.entries), f"edit {self.number}: rows undeclared")

    def _archive(self, record):
        added = File(ARCHIVE, edit=self.number, bytes=record.bytes, hash=record.hash, root=record.root, entries=[record.entry])
        self._new_file(record.file, added)

    def _remove(self, record):
        self._closed(record)
        del self.files[record.file]
        self.masks = {at: ordinal for at, ordinal in self.masks.items() if at[0] != record.file}

    def _since(self, record):
        must(0 < record.edit <= self.number, f"checkpoint {self.number}: since edit {record.edit}")
        self._closed(record).edit = record.edit

    def _place(self, record):
        self._closed(record).place = record.name, record.hash

    def _evict(self, record):
        must(self._closed(record).place, f"edit {self.number}: file {record.file} has no place")
        self.files[record.file].evicted = True

    def _feed(self, record):
        must(record.dataset in self.schemas, f"edit {self.number}: a feed of no dataset")
        self._new("feed", record.feed)
        self.feeds[record.feed] = record

    def _fed(self, record):
        must(record.feed in self.feeds, f"edit {self.number}: no feed {record.feed}")
        return record.feed

    def _position(self, record):
        before = self.positions.get(self._fed(record))
        must(before is None or before.next <= record.next, f"edit {self.number}: a position goes back")
        self.positions[record.feed] = record

    def _claim(self, record):
        self.claims[self._fed(record)] = record

    def _mask(self, record):
        must(record.file in self.files and self.files[record.file].kind == SEGMENT, f"edit {self.number}: a mask on no segment")
        self._fed(record)
        at = record.file, record.feed
        self.masks[at] = min(record.ordinal, self.masks.get(at, record.ordinal))

    def _lost(self, record):
        must(record.begin < record.next, f"edit {self.number}: nothing lost")
        at = self._fed(record), record.begin
        self.lost[at] = max(record.next, self.lost.get(at, 0))

    def _complete(self, record):
        must(record.dataset in self.schemas, f"edit {self.number}: how far no dataset goes")
        self.complete[record.dataset] = record.time

    def _counters(self, record):
        must(all(number >= self.next[kind] for kind, number in record._asdict().items()), f"edit {self.number}: counters go back")
        self.next = record._asdict()

    def _tombstone(self, record):
        must(record.edit <= self.number and record.dataset in self.schemas, f"edit {self.number}: a tombstone of a later one, or on nothing")
        self.tombstones.append(record._replace(keys=sorted(record.keys)))

    def _drop_tombstones(self):
        """Leaves those that stand."""
        standing = []
        for one in filter(self._may_touch, self.tombstones):
            if not any(removes_all_of(other, one) for other in standing):
                standing = [other for other in standing if not removes_all_of(one, other)] + [one]
        self.tombstones = standing

    def _may_touch(self, one):
        return any(file.edit is not None and file.edit < one.edit
                   and any(entry.dataset == one.dataset and entry.rows and overlaps(entry.span, one) for entry in file.entries)
                   for file in self.files.values())

    def counts(self, number, dataset, feed, ordinal, key, time):
        """Whether a row counts that the file has: of a segment by its feed and ordinal, and of each file by key and time."""
        file = self.files[number]
        masked_from = self.masks.get((number, feed))
        if masked_from is not None and ordinal >= masked_from:
            return False
        return file.edit is None or not any(
            one.dataset == dataset and file.edit < one.edit and (not one.keys or key in one.keys)
            and (time is None or one.begin <= time < one.until)
            for one in self.tombstones)


def overlaps(span, one):
    return span is None or (span[0] < one.until and one.begin <= span[1])
