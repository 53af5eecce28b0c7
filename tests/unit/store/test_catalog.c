/* The catalog on disk: hint, checkpoints, chain, damage. */
#include "engine/store/catalog/catalog_log.h"
#include "engine/store/store.h"

#include "tests/unit/scratch.h"

static struct aq_store *open_home(bool create)
{
    struct aq_store *store = NULL;
    struct aq_error err = {0};
    struct aq_store_options options = {
        .home = scratch_file("home"), .create = create, .io = AQ_IO_POSIX};
    enum aq_status status = aq_store_open(&options, &store, &err);
    cr_assert_eq(status, AQ_OK, "%s: %s", err.path, err.message);
    return store;
}

/* A store with `count` edits behind its first. */
static void make_edits(unsigned count)
{
    struct aq_store *store = open_home(true);
    for (unsigned i = 0; i < count; i++) {
        char name[16];
        snprintf(name, sizeof name, "v%u", i);
        cr_assert_eq(aq_store_declare_view(store, name, "SELECT 1", NULL), AQ_OK);
    }
    aq_store_close(store);
}

static void assert_views(unsigned count)
{
    struct aq_store *store = open_home(false);
    const struct aq_catalog *catalog = NULL;
    cr_assert_eq(aq_store_catalog(store, false, &catalog, NULL), AQ_OK);
    cr_assert_eq(catalog->number, count + 1);
    cr_assert_eq(catalog->view_count, count);
    aq_catalog_release(catalog);
    aq_store_close(store);
}

static enum aq_status try_open(struct aq_error *err)
{
    struct aq_store *store = NULL;
    struct aq_store_options options = {.home = scratch_file("home"), .read_only = true};
    enum aq_status status = aq_store_open(&options, &store, err);
    aq_store_close(store);
    return status;
}

static const char *edit_path(uint64_t number)
{
    char name[AQ_CATALOG_NAME_BYTES];
    char path[128];
    aq_catalog_edit_name(number, name, sizeof name);
    snprintf(path, sizeof path, "home/%s", name);
    return scratch_file(path);
}

Test(catalog, checkpoints_shorten_opening)
{
    scratch_make();
    make_edits(AQ_CHECKPOINT_EDITS + 10);
    cr_assert_eq(access(scratch_file("home/catalog/checkpoint-00000000000000000256"), F_OK), 0);
    assert_views(AQ_CHECKPOINT_EDITS + 10);
    /* What the checkpoint covers is not read any more. */
    cr_assert_eq(unlink(edit_path(1)), 0);
    cr_assert_eq(unlink(edit_path(100)), 0);
    cr_assert_eq(unlink(edit_path(256)), 0);
    assert_views(AQ_CHECKPOINT_EDITS + 10);
    /* A commit goes on from there. */
    struct aq_store *store = open_home(false);
    cr_assert_eq(aq_store_declare_view(store, "last", "SELECT 1", NULL), AQ_OK);
    aq_store_close(store);
    assert_views(AQ_CHECKPOINT_EDITS + 11);
}

/* Another number in it, and the checksum that it had. */
static void make_hint_lie(void)
{
    size_t size;
    struct aq_object_store *objects = NULL;
    cr_assert_eq(aq_object_open_dir(scratch_file("home"), false, &objects, NULL), AQ_OK);
    cr_assert_eq(aq_catalog_put_latest(objects, 6, 0, NULL), AQ_OK);
    aq_object_close(objects);
    char *text = (char *)scratch_read(scratch_file("home/catalog/latest"), &size);
    char *digit = memchr(text, '6', size);
    cr_assert_not_null(digit);
    *digit = '9';
    scratch_write(scratch_file("home/catalog/latest"), text, size);
    free(text);
}

Test(catalog, a_lost_or_damaged_hint_is_made_good)
{
    scratch_make();
    make_edits(5);
    cr_assert_eq(unlink(scratch_file("home/catalog/latest")), 0);
    assert_views(5);
    scratch_write(scratch_file("home/catalog/latest"), "aqstore cat", 11);
    assert_views(5);
    make_hint_lie();
    assert_views(5);
    /* A hint that lags behind is one that another committer wrote late. */
    struct aq_object_store *objects = NULL;
    cr_assert_eq(aq_object_open_dir(scratch_file("home"), false, &objects, NULL), AQ_OK);
    cr_assert_eq(aq_catalog_put_latest(objects, 2, 0, NULL), AQ_OK);
    aq_object_close(objects);
    assert_views(5);
}

Test(catalog, a_missing_head_is_noticed)
{
    scratch_make();
    make_edits(5);
    struct aq_error err = {0};
    cr_assert_eq(unlink(edit_path(6)), 0);
    cr_assert_eq(try_open(&err), AQ_CORRUPT);
    cr_assert_not_null(strstr(err.path, "catalog/00000000000000000006"), "%s", err.path);
}

/* Of the newest edit it is said how to go on without it, of others not. */
Test(catalog, the_newest_edit_can_be_done_without)
{
    scratch_make();
    make_edits(5);
    struct aq_error err = {0};
    scratch_write(edit_path(4), "x", 1);
    cr_assert_eq(try_open(&err), AQ_CORRUPT);
    cr_assert_null(strstr(err.message, "docs/recovery.md"), "%s", err.message);
    cr_assert_eq(unlink(edit_path(4)), 0);
    cr_assert_eq(try_open(&err), AQ_CORRUPT);
    cr_assert_null(strstr(err.message, "docs/recovery.md"), "%s", err.message);
    cr_assert_eq(unlink(edit_path(5)), 0);
    scratch_write(edit_path(6), "x", 1); /* with two missing before it, it is not the next */
    cr_assert_eq(try_open(&err), AQ_CORRUPT);
    cr_assert_null(strstr(err.message, "docs/recovery.md"), "%s", err.message);
    scratch_make();
    make_edits(5);
    scratch_write(edit_path(6), "x", 1);
    cr_assert_eq(try_open(&err), AQ_CORRUPT);
    cr_assert_not_null(strstr(err.message, "docs/recovery.md"), "%s", err.message);
    cr_assert_eq(unlink(edit_path(6)), 0);
    cr_assert_eq(try_open(&err), AQ_CORRUPT);
    cr_assert_not_null(strstr(err.message, "docs/recovery.md"), "%s", err.message);
    /* As the page says. */
    cr_assert_eq(unlink(scratch_file("home/catalog/latest")), 0);
    assert_views(4);
}

Test(catalog, a_missing_edit_is_noticed_without_the_hint)
{
    scratch_make();
    make_edits(5);
    struct aq_error err = {0};
    cr_assert_eq(unlink(edit_path(3)), 0);
    cr_assert_eq(unlink(scratch_file("home/catalog/latest")), 0);
    cr_assert_eq(try_open(&err), AQ_CORRUPT);
    cr_assert_not_null(strstr(err.path, "catalog/00000000000000000003"), "%s", err.path);
}

Test(catalog, an_edit_under_anothers_name_is_noticed)
{
    scratch_make();
    make_edits(3);
    size_t size;
    unsigned char *second = scratch_read(edit_path(2), &size);
    scratch_write(edit_path(3), second, size);
    struct aq_error err = {0};
    cr_assert_eq(try_open(&err), AQ_CORRUPT);
    cr_assert_not_null(strstr(err.path, "catalog/00000000000000000003"), "%s", err.path);
    free(second);
}

Test(catalog, an_edit_of_another_store_breaks_the_chain)
{
    scratch_make();
    make_edits(3);
    size_t size;
    unsigned char *third = scratch_read(edit_path(3), &size);
    char home[512];
    snprintf(home, sizeof home, "%s", scratch_file("home"));
    cr_assert_eq(rename(home, scratch_file("other")), 0);
    make_edits(3);
    scratch_write(edit_path(3), third, size);
    struct aq_error err = {0};
    cr_assert_eq(try_open(&err), AQ_CORRUPT);
    cr_assert_not_null(strstr(err.path, "catalog/00000000000000000003"), "%s", err.path);
    cr_assert_not_null(strstr(err.message, "chain"), "%s", err.message);
    free(third);
}

/* Every bit of an edit in the middle and of the newest one, and every length of it. */
Test(catalog, flips_and_truncations_are_found)
{
    scratch_make();
    make_edits(3);
    for (uint64_t number = 3; number <= 4; number++) {
        char path[512];
        snprintf(path, sizeof path, "%s", edit_path(number));
        size_t size;
        unsigned char *bytes = scratch_read(path, &size);
        for (size_t bit = 0; bit < size * 8; bit++) {
            bytes[bit / 8] ^= (unsigned char)(1u << bit % 8);
            scratch_write(path, bytes, size);
            struct aq_error err = {0};
            cr_assert_eq(try_open(&err), AQ_CORRUPT, "bit %zu", bit);
            cr_assert_str_eq(err.path, path);
            cr_assert_geq(err.offset, 0);
            bytes[bit / 8] ^= (unsigned char)(1u << bit % 8);
        }
        for (size_t length = 0; length < size; length++) {
            scratch_write(path, bytes, length);
            struct aq_error err = {0};
            cr_assert_eq(try_open(&err), AQ_CORRUPT, "length %zu", length);
            cr_assert_str_eq(err.path, path);
        }
        scratch_write(path, bytes, size);
        free(bytes);
    }
    assert_views(3);
}

/* The state that these records make of another, or of nothing. */
static const struct aq_catalog *catalog_of(const struct aq_catalog *from,
                                           const struct aq_edit_header *header,
                                           const struct aq_record *records, size_t record_count)
{
    struct aq_catalog_state state;
    struct aq_error err = {0};
    cr_assert_eq(aq_catalog_state_begin(&state, from), AQ_OK);
    enum aq_status status = aq_catalog_state_apply(&state, header, records, record_count, 99, &err);
    cr_assert_eq(status, AQ_OK, "%s", err.message);
    return aq_catalog_state_finish(&state);
}

static struct aq_column time_column[] = {{.name = "t", .type = AQ_TYPE_TIMESTAMPTZ, .id = 1}};
static struct aq_file_entry some_entry = {.dataset_id = 1,
                                          .schema_version = 1,
                                          .row_count = 7,
                                          .has_time = true,
                                          .min_time_us = -5,
                                          .max_time_us = 9};
static struct aq_slice some_keys[] = {{(const uint8_t *)"k", 1}};

#define TEXT(text)                                \
    {                                             \
        (const uint8_t *)(text), sizeof(text) - 1 \
    }

/* One of each kind at least. */
static const struct aq_record all_records[] = {
    {.kind = AQ_RECORD_STORE, .store = {.incarnation = 3, .id = {.bytes = {1, 2}}}},
    {.kind = AQ_RECORD_DATASET,
     .dataset = {.dataset_id = 1,
                 .version = 1,
                 .dataset = "d",
                 .column_count = 1,
                 .columns = time_column,
                 .key_column = AQ_COLUMN_NONE,
                 .time_column = 0,
                 .version_column = AQ_COLUMN_NONE}},
    {.kind = AQ_RECORD_VIEW, .view = {TEXT("v"), TEXT("SELECT 1")}},
    {.kind = AQ_RECORD_OPEN, .open = {.file_id = 1, .epoch = 1}},
    {.kind = AQ_RECORD_FEED,
     .feed =
         {.feed_id = 1, .dataset_id = 1, .partition = -1, .name = TEXT("f.csv"), .stamp_us = 5}},
    {.kind = AQ_RECORD_CLAIM, .claim = {.feed_id = 1, .epoch = 1, .file_id = 1}},
    {.kind = AQ_RECORD_CLOSE,
     .close = {.file_id = 1,
               .frame_count = 2,
               .size_bytes = 640,
               .file_bytes = 800,
               .checksum = 77,
               .entry_count = 1,
               .entries = &some_entry}},
    {.kind = AQ_RECORD_POSITION,
     .position = {.feed_id = 1, .next_ordinal = 7, .row_count = 7, .finished = true}},
    {.kind = AQ_RECORD_ARCHIVE,
     .archive = {.file_id = 2,
                 .size_bytes = 500,
                 .entry = {.dataset_id = 1,
                           .schema_version = 1,
                           .row_count = 7,
                           .has_time = true,
                           .min_time_us = 1,
                           .max_time_us = 1},
                 .content = {.low = 1, .high = 2, .row_count = 7},
                 .root = TEXT("root")}},
    {.kind = AQ_RECORD_OPEN, .open = {.file_id = 3, .epoch = 2}},
    {.kind = AQ_RECORD_HOLD, .hold = {.file_id = 3}},
    {.kind = AQ_RECORD_MASK, .mask = {.file_id = 2, .feed_id = 1, .from_ordinal = 4}},
    {.kind = AQ_RECORD_REMOVE, .remove = {.file_id = 1}},
};

/* What the next edit says. */
static const struct aq_record removal = {.kind = AQ_RECORD_TOMBSTONE,
                                         .tombstone = {.dataset_id = 1,
                                                       .key_count = 1,
                                                       .keys = some_keys,
                                                       .from_us = 1,
                                                       .until_us = 2,
                                                       .before_edit = 2}};

/* A checkpoint of a state gives that state again. */
Test(catalog, a_checkpoint_says_everything)
{
    struct aq_edit_header header = {.number = 1};
    const struct aq_catalog *before =
        catalog_of(NULL, &header, all_records, sizeof all_records / sizeof all_records[0]);
    header = (struct aq_edit_header){.number = 2, .previous_checksum = 99};
    const struct aq_catalog *catalog = catalog_of(before, &header, &removal, 1);
    aq_catalog_release(before);
    struct aq_edit first = {0};
    cr_assert_eq(aq_catalog_describe(catalog, &first), AQ_OK);
    header = (struct aq_edit_header){.number = 5, .checkpoint = true, .previous_checksum = 99};
    const struct aq_catalog *again = catalog_of(NULL, &header, first.records, first.record_count);
    cr_assert_eq(again->checksum, 99);
    cr_assert_eq(again->file_count, 2);
    cr_assert_eq(again->mask_count, 1);
    cr_assert_eq(again->tombstone_count, 1);
    cr_assert_eq(aq_catalog_file(again, 2)->edit, 1, "kept through the checkpoint");
    cr_assert(aq_catalog_file(again, 3)->held && !aq_catalog_file(again, 2)->held);
    cr_assert_eq(again->next_file_id, 4);
    cr_assert_eq(again->next_epoch, 3);
    struct aq_edit second = {0};
    cr_assert_eq(aq_catalog_describe(again, &second), AQ_OK);
    struct aq_bytes bytes[2] = {{0}, {0}};
    uint64_t checksum;
    cr_assert_eq(
        aq_edit_encode(&header, first.records, first.record_count, &bytes[0], &checksum, NULL),
        AQ_OK);
    cr_assert_eq(
        aq_edit_encode(&header, second.records, second.record_count, &bytes[1], &checksum, NULL),
        AQ_OK);
    cr_assert(aq_slice_equal(aq_bytes_view(&bytes[0]), aq_bytes_view(&bytes[1])));
    aq_bytes_deinit(&bytes[0]);
    aq_bytes_deinit(&bytes[1]);
    aq_edit_deinit(&first);
    aq_edit_deinit(&second);
    aq_catalog_release(catalog);
    aq_catalog_release(again);
}

static void assert_refused(const struct aq_record *record)
{
    struct aq_catalog_state state;
    struct aq_record records[] = {{.kind = AQ_RECORD_STORE, .store = {.incarnation = 1}}, *record};
    cr_assert_eq(aq_catalog_state_begin(&state, NULL), AQ_OK);
    struct aq_edit_header header = {.number = 1};
    struct aq_error err = {0};
    cr_assert_eq(aq_catalog_state_apply(&state, &header, records, 2, 1, &err), AQ_CORRUPT,
                 "record %d", (int)record->kind);
    cr_assert_neq(err.message[0], '\0');
    aq_catalog_state_abandon(&state);
}

Test(catalog, contradictions_are_refused)
{
    struct aq_file_entry entry = {.dataset_id = 9, .schema_version = 1};
    struct aq_record records[] = {
        {.kind = AQ_RECORD_STORE, .store = {.incarnation = 2}},
        {.kind = AQ_RECORD_CLOSE, .close = {.file_id = 1}},
        {.kind = AQ_RECORD_REMOVE, .remove = {.file_id = 1}},
        {.kind = AQ_RECORD_FEED, .feed = {.feed_id = 1, .dataset_id = 1}},
        {.kind = AQ_RECORD_POSITION, .position = {.feed_id = 1}},
        {.kind = AQ_RECORD_CLAIM, .claim = {.feed_id = 1}},
        {.kind = AQ_RECORD_MASK, .mask = {.file_id = 1}},
        {.kind = AQ_RECORD_HOLD, .hold = {.file_id = 1}},
        {.kind = AQ_RECORD_SINCE, .since = {.file_id = 1, .edit = 1}},
        {.kind = AQ_RECORD_TOMBSTONE, .tombstone = {.dataset_id = 1}},
        {.kind = AQ_RECORD_ARCHIVE, .archive = {.file_id = 1, .entry = entry}},
        {.kind = AQ_RECORD_OPEN, .open = {.file_id = 0, .epoch = 1}},
        {.kind = AQ_RECORD_COUNTERS, .counters = {.next_file_id = 0}},
    };
    for (size_t i = 0; i < sizeof records / sizeof records[0]; i++)
        assert_refused(&records[i]);
}
