/* aqstore_commits: what the newest edits of the catalog did, as far as they are still kept.
 *
 * Happy path: edits are read one by one, those of a unit in turn; WHERE on `edit` spares the others.
 * Failures: an edit that has been collected has no row; a damaged one is an error. */
#include <inttypes.h>
#include <stdio.h>

#include "engine/query/system_tables/system_table.h"

#define EDITS_MAX 16384 /* looked for, back from the newest */
#define UNIT_EDITS 256

/* Kinds of records that are counted in columns of their own. */
enum {
    COLUMN_EDIT,
    COLUMN_TIME,
    COLUMN_WHAT,
    COLUMN_OPENED,
    COLUMN_CLOSED,
    COLUMN_ARCHIVES,
    COLUMN_REMOVED,
    COLUMN_PLACED,
    COLUMN_EVICTED,
    COLUMN_CLAIMS,
    COLUMN_MASKS,
    COLUMN_TOMBSTONES,
    COLUMN_DECLARATIONS,
    COLUMN_ROWS,
    COLUMN_BYTES,
    COLUMN_COUNT,
};

static struct aq_column columns[COLUMN_COUNT] = {
    {"edit", AQ_TYPE_BIGINT, 1, true, false},
    {"time", AQ_TYPE_TIMESTAMPTZ, 2, true, false},
    {"what", AQ_TYPE_TEXT, 3, true, false},
    {"opened", AQ_TYPE_BIGINT, 4, true, false},
    {"closed", AQ_TYPE_BIGINT, 5, true, false},
    {"archives", AQ_TYPE_BIGINT, 6, true, false},
    {"removed", AQ_TYPE_BIGINT, 7, true, false},
    {"placed", AQ_TYPE_BIGINT, 8, true, false},
    {"evicted", AQ_TYPE_BIGINT, 9, true, false},
    {"claims", AQ_TYPE_BIGINT, 10, true, false},
    {"masks", AQ_TYPE_BIGINT, 11, true, false},
    {"tombstones", AQ_TYPE_BIGINT, 12, true, false},
    {"declarations", AQ_TYPE_BIGINT, 13, true, false},
    {"rows", AQ_TYPE_BIGINT, 14, true, false},
    {"bytes", AQ_TYPE_BIGINT, 15, true, false},
};

/* A kind of record: the column that counts it, if any, and how people say it. */
struct word {
    enum aq_record_kind kind;
    int column; /* -1: none */
    const char *verb;
    const char *noun;
    const char *rest;
};

static const struct word words[] = {
    {AQ_RECORD_STORE, -1, "made", "store", ""},
    {AQ_RECORD_DATASET, COLUMN_DECLARATIONS, "declared", "dataset", ""},
    {AQ_RECORD_VIEW, COLUMN_DECLARATIONS, "declared", "view", ""},
    {AQ_RECORD_OPEN, COLUMN_OPENED, "opened", "segment", ""},
    {AQ_RECORD_HOLD, -1, "held", "segment", " back"},
    {AQ_RECORD_CLOSE, COLUMN_CLOSED, "closed", "segment", ""},
    {AQ_RECORD_ARCHIVE, COLUMN_ARCHIVES, "added", "archive", ""},
    {AQ_RECORD_REMOVE, COLUMN_REMOVED, "removed", "file", ""},
    {AQ_RECORD_PLACE, COLUMN_PLACED, "placed", "file", " in the bucket"},
    {AQ_RECORD_EVICT, COLUMN_EVICTED, "evicted", "file", ""},
    {AQ_RECORD_FEED, -1, "began", "feed", ""},
    {AQ_RECORD_CLAIM, COLUMN_CLAIMS, "claimed", "feed", ""},
    {AQ_RECORD_POSITION, -1, "moved", "feed", " on"},
    {AQ_RECORD_MASK, COLUMN_MASKS, "masked", "feed", ""},
    {AQ_RECORD_TOMBSTONE, COLUMN_TOMBSTONES, "laid", "tombstone", ""},
    {AQ_RECORD_LOST, -1, "recorded", "range", " of lost messages"},
};
#define WORD_COUNT (sizeof words / sizeof words[0])

/* What an edit adds to the store. */
struct sums {
    uint64_t counts[COLUMN_COUNT];
    char what[512];
};

/* Cut short where there is no room. */
static void say(struct sums *sums, const struct word *word, size_t count)
{
    size_t used = strlen(sums->what);
    snprintf(sums->what + used, sizeof sums->what - used, "%s%s %zu %s%s%s", used > 0 ? ", " : "",
             word->verb, count, word->noun, count == 1 ? "" : "s", word->rest);
}

static void add_rows(struct sums *sums, const struct aq_record *record)
{
    if (record->kind == AQ_RECORD_ARCHIVE) {
        sums->counts[COLUMN_ROWS] += record->archive.entry.row_count;
        sums->counts[COLUMN_BYTES] += record->archive.size_bytes;
    }
    if (record->kind != AQ_RECORD_CLOSE)
        return;
    sums->counts[COLUMN_BYTES] += record->close.size_bytes;
    for (size_t i = 0; i < record->close.entry_count; i++)
        sums->counts[COLUMN_ROWS] += record->close.entries[i].row_count;
}

static void put_edit(struct aq_system_rows *rows, const struct aq_edit_header *header,
                     const struct aq_record *records, size_t record_count)
{
    struct sums sums = {.what = ""};
    for (size_t i = 0; i < record_count; i++)
        add_rows(&sums, &records[i]);
    for (size_t w = 0; w < WORD_COUNT; w++) {
        size_t count = 0;
        for (size_t i = 0; i < record_count; i++)
            count += records[i].kind == words[w].kind;
        if (count > 0)
            say(&sums, &words[w], count);
        if (words[w].column >= 0)
            sums.counts[words[w].column] += count;
    }
    aq_system_put_count(rows, header->number);
    aq_system_put_int(rows, header->time_us);
    aq_system_put_text(rows, sums.what);
    for (size_t column = COLUMN_OPENED; column < COLUMN_COUNT; column++)
        aq_system_put_count(rows, sums.counts[column]);
}

/* The schema's time is the edit's number: a unit's bounds are those of its edits. */
static enum aq_status commit_units(const struct aq_catalog *catalog, struct aq_arena *arena,
                                   struct aq_unit **units, size_t *unit_count)
{
    uint64_t head = catalog->number;
    uint64_t first = head > EDITS_MAX ? head - EDITS_MAX + 1 : 1;
    size_t count = head == 0 ? 0 : (size_t)((head - first) / UNIT_EDITS + 1);
    *units = aq_arena_alloc(arena, (count + 1) * sizeof **units);
    if (*units == NULL)
        return AQ_NO_MEMORY;
    for (size_t i = 0; i < count; i++) {
        uint64_t from = first + i * UNIT_EDITS;
        uint64_t last = from + UNIT_EDITS - 1 < head ? from + UNIT_EDITS - 1 : head;
        (*units)[i] = (struct aq_unit){.kind = AQ_FILE_SEGMENT,
                                       .row_count = 1,
                                       .has_time = true,
                                       .min_time_us = (int64_t)from,
                                       .max_time_us = (int64_t)last};
    }
    *unit_count = count;
    return AQ_OK;
}

static enum aq_status read_commits(const struct aq_system_scan *scan, const struct aq_unit *unit,
                                   struct aq_system_rows *rows, struct aq_error *err)
{
    struct aq_arena arena;
    enum aq_status status = AQ_OK;
    aq_arena_init(&arena);
    for (int64_t number = unit->min_time_us; status == AQ_OK && number <= unit->max_time_us;
         number++) {
        struct aq_edit_header header;
        struct aq_record *records = NULL;
        size_t record_count = 0;
        struct aq_error failure = {.offset = -1};
        aq_arena_reset(&arena);
        status = aq_snapshot_edit(scan->snapshot, (uint64_t)number, &arena, &header, &records,
                                  &record_count, &failure);
        if (status == AQ_OK)
            put_edit(rows, &header, records, record_count);
        else if (status == AQ_NOT_FOUND)
            status = AQ_OK;
        else
            *err = failure;
        if (status == AQ_OK)
            status = aq_system_check(scan, 0, err);
    }
    aq_arena_deinit(&arena);
    return status;
}

const struct aq_system_table aq_commits_table = {
    .schema = {.dataset = "aqstore_commits",
               .column_count = COLUMN_COUNT,
               .columns = columns,
               .key_column = AQ_COLUMN_NONE,
               .time_column = COLUMN_EDIT,
               .version_column = AQ_COLUMN_NONE},
    .units = commit_units,
    .read = read_commits,
};
