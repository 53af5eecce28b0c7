/* Tombstones: which of them the catalog keeps. */
#include "engine/store/snapshot/tombstone.h"
#include "tests/unit/store/history_fixture.h"

static struct aq_slice two_keys[] = {NAMED("oslo"), NAMED("hanoi")};

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
