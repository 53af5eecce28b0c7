/* Tombstones: which of them the catalog keeps. */
#include "engine/store/catalog_state.h"
#include "engine/store/store.h"
#include "engine/store/tombstone.h"

#include <criterion/criterion.h>

#define DAY AQ_US_PER_DAY

/* The catalog: dataset 1 with key and time, dataset 2 with neither. */

static struct aq_column columns[] = {
    {.name = "city", .type = AQ_TYPE_TEXT, .id = 1, .required = true},
    {.name = "ts", .type = AQ_TYPE_TIMESTAMPTZ, .id = 2, .required = true},
};
#define NAMED(text)                               \
    {                                             \
        (const uint8_t *)(text), sizeof(text) - 1 \
    }
static struct aq_slice two_keys[] = {NAMED("oslo"), NAMED("hanoi")};

struct history {
    const struct aq_catalog *catalog;
};

static void edit(struct history *history, const struct aq_record *records, size_t record_count)
{
    struct aq_catalog_state state;
    struct aq_error err = {0};
    const struct aq_catalog *old = history->catalog;
    struct aq_edit_header header = {.number = old == NULL ? 1 : old->number + 1,
                                    .previous_checksum = old == NULL ? 0 : old->checksum};
    cr_assert_eq(aq_catalog_state_begin(&state, old), AQ_OK);
    cr_assert_eq(aq_catalog_state_apply(&state, &header, records, record_count, 7, &err), AQ_OK,
                 "%s", err.message);
    history->catalog = aq_catalog_state_finish(&state);
    if (old != NULL)
        aq_catalog_release(old);
}

static struct history begin(void)
{
    struct history history = {0};
    struct aq_schema air = {.dataset_id = 1,
                            .version = 1,
                            .dataset = "air",
                            .column_count = 2,
                            .columns = columns,
                            .key_column = 0,
                            .time_column = 1,
                            .version_column = AQ_COLUMN_NONE};
    struct aq_schema plain = air;
    plain.dataset_id = 2;
    plain.dataset = "plain";
    plain.key_column = plain.time_column = AQ_COLUMN_NONE;
    struct aq_record records[] = {{.kind = AQ_RECORD_STORE, .store = {.incarnation = 1}},
                                  {.kind = AQ_RECORD_DATASET, .dataset = air},
                                  {.kind = AQ_RECORD_DATASET, .dataset = plain}};
    edit(&history, records, 3);
    return history;
}

/* An archive with rows of days [first, last]. */
static void add_archive(struct history *history, uint64_t file_id, int64_t first, int64_t last)
{
    struct aq_record record = {.kind = AQ_RECORD_ARCHIVE,
                               .archive = {.file_id = file_id,
                                           .entry = {.dataset_id = 1,
                                                     .schema_version = 1,
                                                     .row_count = 9,
                                                     .has_time = true,
                                                     .min_time_us = first * DAY,
                                                     .max_time_us = last * DAY + DAY - 1}}};
    edit(history, &record, 1);
}

static void remove_file(struct history *history, uint64_t file_id)
{
    edit(history, &(struct aq_record){.kind = AQ_RECORD_REMOVE, .remove = {.file_id = file_id}}, 1);
}

/* Days [from, until), of some keys, of what is there now. */
static void bury(struct history *history, int64_t from, int64_t until, size_t key_count)
{
    struct aq_record record = {.kind = AQ_RECORD_TOMBSTONE,
                               .tombstone = {.dataset_id = 1,
                                             .key_count = key_count,
                                             .keys = two_keys,
                                             .from_us = from * DAY,
                                             .until_us = until * DAY,
                                             .before_edit = history->catalog->number + 1}};
    edit(history, &record, 1);
}

static size_t kept(const struct history *history)
{
    return history->catalog->tombstone_count;
}

Test(tombstones, stand_while_there_is_a_file_that_they_can_touch)
{
    struct history history = begin();
    bury(&history, 0, 100, 0);
    cr_assert_eq(kept(&history), 0, "there is no file at all");
    add_archive(&history, 1, 3, 5);
    add_archive(&history, 2, 6, 9);
    bury(&history, 0, 3, 0);
    bury(&history, 10, 20, 0);
    cr_assert_eq(kept(&history), 0, "until is not included, nor is what is before from");
    bury(&history, 5, 7, 0);
    cr_assert_eq(kept(&history), 1);
    add_archive(&history, 3, 5, 7);
    cr_assert_not(
        aq_tombstone_touches(&history.catalog->tombstones[0], aq_catalog_file(history.catalog, 3)),
        "it came later");
    remove_file(&history, 1);
    cr_assert_eq(kept(&history), 1, "file 2 is left");
    remove_file(&history, 2);
    cr_assert_eq(kept(&history), 0);
    aq_catalog_release(history.catalog);
}

Test(tombstones, of_two_the_one_that_removes_more_stands)
{
    struct history history = begin();
    add_archive(&history, 1, 0, 100);
    bury(&history, 0, 10, 2);
    bury(&history, 0, 11, 2);
    cr_assert_eq(kept(&history), 1, "as retention moves on");
    cr_assert_eq(history.catalog->tombstones[0].until_us, 11 * DAY);
    bury(&history, 2, 5, 1);
    cr_assert_eq(kept(&history), 2, "it is later than the one that covers it otherwise");
    bury(&history, 0, 11, 0);
    cr_assert_eq(kept(&history), 1, "all keys");
    bury(&history, 50, 60, 2);
    cr_assert_eq(kept(&history), 2);
    const struct aq_catalog_tombstone *keyed = &history.catalog->tombstones[1];
    cr_assert(aq_tombstone_has_key(keyed, aq_slice_of("hanoi")));
    cr_assert(aq_tombstone_has_key(keyed, aq_slice_of("oslo")));
    cr_assert_not(aq_tombstone_has_key(keyed, aq_slice_of("lima")));
    cr_assert_not(aq_tombstone_has_key(keyed, aq_slice_of("")));
    aq_catalog_release(history.catalog);
}

Test(tombstones, of_open_segments_remove_nothing)
{
    struct history history = begin();
    edit(&history, &(struct aq_record){.kind = AQ_RECORD_OPEN, .open = {.file_id = 1, .epoch = 1}},
         1);
    bury(&history, 0, 100, 0);
    cr_assert_eq(kept(&history), 0);
    struct aq_file_entry entries[] = {{.dataset_id = 1, .schema_version = 1, .row_count = 3},
                                      {.dataset_id = 2, .schema_version = 1, .row_count = 3}};
    struct aq_record close = {
        .kind = AQ_RECORD_CLOSE,
        .close = {.file_id = 1, .frame_count = 1, .entry_count = 2, .entries = entries}};
    edit(&history, &close, 1);
    cr_assert_eq(history.catalog->files[0].edit, history.catalog->number);
    bury(&history, 0, 1, 0);
    cr_assert_eq(kept(&history), 1, "rows without a time are removed by any span");
    aq_catalog_release(history.catalog);
}

Test(tombstones, cannot_be_on_what_is_yet_to_come)
{
    struct history history = begin();
    struct aq_catalog_state state;
    struct aq_record record = {.kind = AQ_RECORD_TOMBSTONE,
                               .tombstone = {.dataset_id = 1, .until_us = 1, .before_edit = 3}};
    struct aq_edit_header header = {.number = 2, .previous_checksum = history.catalog->checksum};
    struct aq_error err = {0};
    cr_assert_eq(aq_catalog_state_begin(&state, history.catalog), AQ_OK);
    cr_assert_eq(aq_catalog_state_apply(&state, &header, &record, 1, 7, &err), AQ_CORRUPT);
    cr_assert_not_null(strstr(err.message, "not yet there"), "%s", err.message);
    aq_catalog_state_abandon(&state);
    aq_catalog_release(history.catalog);
}
