/* Compaction of a real store: what is in it does not change, what it lies in does. */
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "compaction/merge/write/archive_output.h"
#include "tests/unit/compaction/air_fixture.h"

Test(compaction, rows_stay_files_go)
{
    scratch_make();
    struct air air = {0};
    air_open(&air, "home");
    write_segment(&air, 60, 300);
    write_segment(&air, 30, 200);
    expect_all_rows(&air, false);
    struct aq_compact_report report = compact(&air, &defaults);
    cr_assert_eq(report.segment_count, 2);
    cr_assert_eq(report.archive_output_count, 2, "one for rows, one for rejects");
    cr_assert_eq(report.row_count, 60 * 301 + 30 * 201);
    cr_assert_gt(report.output_bytes, 0);
    cr_assert_lt(report.output_bytes, report.input_bytes);
    expect_all_rows(&air, true);
    uint64_t number = head(air.store);
    report = compact(&air, &defaults);
    cr_assert_eq(report.segment_count + report.archive_input_count, 0, "nothing is left to do");
    cr_assert_eq(head(air.store), number, "and nothing was committed");
    aq_store_close(air.store);
    air_open(&air, "home");
    expect_all_rows(&air, true);
    aq_store_close(air.store);
}

Test(compaction, small_archives_are_merged_with_new_rows)
{
    scratch_make();
    struct air air = {0};
    air_open(&air, "home");
    for (unsigned round = 0; round < 3; round++) {
        write_segment(&air, 20, 100);
        struct aq_compact_report report = compact(&air, &defaults);
        cr_assert_eq(report.segment_count, 1);
        cr_assert_eq(report.archive_input_count, round == 0 ? 0 : 2);
        cr_assert_eq(report.archive_output_count, 2);
        expect_all_rows(&air, true);
    }
    cr_assert_eq(count_files("home/archives", ".aqa"), 6, "replaced files wait for gc");
    struct aq_gc_report collected = gc_now(air.store, true);
    cr_assert_eq(collected.file_count, 4 + 3);
    cr_assert_eq(count_files("home/archives", ".aqa"), 6, "a dry run removes nothing");
    collected = gc_now(air.store, false);
    cr_assert_eq(collected.file_count, 4 + 3);
    cr_assert_gt(collected.bytes, 0);
    cr_assert_eq(count_files("home/archives", ".aqa"), 2);
    cr_assert_eq(count_files("home/segments", ".seg"), 0);
    expect_all_rows(&air, true);
    aq_store_close(air.store);
}

/* Bytes of the tiles of every archive, in order of file id: equal for equal rows. */
static struct aq_bytes tile_bytes(const char *home, uint64_t last_file_id)
{
    struct aq_bytes bytes = {0};
    for (uint64_t file_id = 1; file_id <= last_file_id; file_id++) {
        char name[128];
        char path[64];
        aq_catalog_file_name(AQ_FILE_ARCHIVE, file_id, path, sizeof path);
        snprintf(name, sizeof name, "%s/%s", home, path);
        if (access(scratch_file(name), F_OK) != 0)
            continue;
        size_t size;
        uint64_t root_offset;
        uint32_t root_size;
        unsigned char *file = scratch_read(scratch_file(name), &size);
        cr_assert_eq(aq_archive_trailer_decode(aq_slice_make(file + size - 64, 64), size,
                                               &root_offset, &root_size, NULL),
                     AQ_OK);
        aq_bytes_append(&bytes, file + 64, root_offset - 64);
        free(file);
    }
    return bytes;
}

Test(compaction, threads_and_segments_do_not_change_the_bytes)
{
    scratch_make();
    struct air one = {0};
    struct air many = {0};
    air_open(&one, "one");
    air_open(&many, "many");
    write_segment(&one, 40, 100);
    for (unsigned i = 0; i < 4; i++)
        write_segment(&many, 10, 100);
    compact(&one, &(struct aq_compact_options){.thread_count = 1});
    compact(&many, &(struct aq_compact_options){.thread_count = 4});
    cr_assert(aq_content_hash_equal(&one.rows, &many.rows));
    struct aq_bytes a = tile_bytes("one", 20);
    struct aq_bytes b = tile_bytes("many", 20);
    cr_assert_gt(a.size, 1000);
    cr_assert_eq(a.size, b.size);
    /* Rejects carry ordinals of their feed, which differ; the first archive holds the rows. */
    size_t rows_size = a.size / 2;
    cr_assert_eq(memcmp(a.data, b.data, rows_size), 0);
    aq_bytes_deinit(&a);
    aq_bytes_deinit(&b);
    aq_store_close(one.store);
    aq_store_close(many.store);
}

/* The same frames, compacted by more and more threads: the very same tiles. */
Test(compaction, as_many_threads_as_you_like)
{
    static const unsigned threads[] = {1, 2, 5};
    struct aq_bytes tiles[3];
    scratch_make();
    for (size_t i = 0; i < 3; i++) {
        struct air air = {0};
        char home[16];
        snprintf(home, sizeof home, "by-%u", threads[i]);
        air_open(&air, home);
        write_segment(&air, 40, 100);
        compact(&air,
                &(struct aq_compact_options){.thread_count = threads[i], .memory_bytes = 1 << 20});
        tiles[i] = tile_bytes(home, 2);
        cr_assert_gt(tiles[i].size, 1000);
        cr_assert_eq(tiles[i].size, tiles[0].size);
        cr_assert_eq(memcmp(tiles[i].data, tiles[0].data, tiles[0].size), 0);
        aq_store_close(air.store);
    }
    for (size_t i = 0; i < 3; i++)
        aq_bytes_deinit(&tiles[i]);
}

Test(compaction, little_memory_takes_several_passes)
{
    scratch_make();
    struct air air = {0};
    struct air whole = {0};
    air_open(&air, "home");
    air_open(&whole, "whole");
    write_segment(&air, 60, 500);
    write_segment(&whole, 60, 500);
    struct aq_compact_report report =
        compact(&air, &(struct aq_compact_options){.memory_bytes = 1 << 20, .thread_count = 2});
    cr_assert_eq(report.archive_output_count, 2);
    expect_all_rows(&air, true);
    compact(&whole, &defaults);
    size_t passes_tiles;
    size_t whole_tiles;
    read_dataset(air.store, air.schema, &passes_tiles);
    read_dataset(whole.store, whole.schema, &whole_tiles);
    cr_assert_gt(passes_tiles, whole_tiles, "each pass ends its tile");
    aq_store_close(air.store);
    aq_store_close(whole.store);
}

/* Each row forty times: ranges end between different rows only, and none is lost at a cut. */
Test(compaction, equal_rows_in_several_passes)
{
    scratch_make();
    struct air air = {0};
    air_open(&air, "home");
    for (unsigned i = 0; i < 40; i++) {
        air.frames = 3;
        struct air before = air;
        write_segment(&air, 1, 300);
        cr_assert_eq(air.frames, before.frames + 1);
    }
    compact(&air, &(struct aq_compact_options){.memory_bytes = 1 << 18});
    expect_all_rows(&air, true);
    aq_store_close(air.store);
}

Test(compaction, target_size_begins_new_files)
{
    scratch_make();
    struct air air = {0};
    air_open(&air, "home");
    write_segment(&air, 60, 500);
    struct aq_compact_options options = {.target_size_bytes = 4096, .memory_bytes = 1 << 20};
    struct aq_compact_report report = compact(&air, &options);
    cr_assert_gt(report.archive_output_count, 3);
    expect_all_rows(&air, true);
    report = compact(&air, &options);
    cr_assert_leq(report.archive_output_count, 2, "only leftovers are merged again");
    expect_all_rows(&air, true);
    aq_store_close(air.store);
}

Test(compaction, a_dry_run_changes_nothing)
{
    scratch_make();
    struct air air = {0};
    air_open(&air, "home");
    write_segment(&air, 10, 100);
    uint64_t number = head(air.store);
    struct aq_compact_report report = compact(&air, &(struct aq_compact_options){.dry_run = true});
    cr_assert_eq(report.segment_count, 1);
    cr_assert_eq(report.row_count, 10 * 101);
    cr_assert_eq(report.archive_output_count, 0);
    cr_assert_eq(head(air.store), number);
    cr_assert_eq(count_files("home/archives", ""), 2, "only . and ..");
    aq_store_close(air.store);
}

static atomic_bool stop_now;

static void stop_at_write(void *context, const struct aq_compact_progress *progress)
{
    unsigned *calls = context;
    cr_assert_leq(progress->rows_done, progress->rows_total);
    (*calls)++;
    stop_now = strcmp(progress->phase, "merge") == 0;
}

Test(compaction, stops_when_told_and_leaves_nothing)
{
    scratch_make();
    struct air air = {0};
    unsigned calls = 0;
    air_open(&air, "home");
    write_segment(&air, 10, 100);
    uint64_t number = head(air.store);
    struct aq_compact_options options = {
        .progress = stop_at_write, .context = &calls, .stop = &stop_now};
    struct aq_compact_report report;
    cr_assert_eq(aq_compact(air.store, &options, &report, NULL), AQ_INTERRUPTED);
    cr_assert_gt(calls, 1);
    cr_assert_eq(head(air.store), number);
    cr_assert_eq(count_files("home/archives", ""), 2);
    expect_all_rows(&air, false);
    aq_store_close(air.store);
}

Test(compaction, one_at_a_time)
{
    scratch_make();
    struct air air = {0};
    air_open(&air, "home");
    write_segment(&air, 2, 10);
    struct aq_store *other = open_store("home", false);
    struct aq_store_lock *lock;
    cr_assert_eq(aq_store_lock(other, "compact", true, &lock, NULL), AQ_OK);
    struct aq_compact_report report;
    cr_assert_eq(aq_compact(air.store, &defaults, &report, NULL), AQ_CONFLICT);
    aq_store_unlock(lock);
    compact(&air, &defaults);
    aq_store_close(other);
    aq_store_close(air.store);
}

/* What another process does while rows are being written: run once, from the progress callback. */
struct interference {
    void (*act)(struct air *air, struct aq_store *other);
    struct air *air;
    bool done;
};

static void interfere(void *context, const struct aq_compact_progress *progress)
{
    struct interference *interference = context;
    if (interference->done || strcmp(progress->phase, "write") != 0)
        return;
    interference->done = true;
    struct aq_store *other = open_store("home", false);
    interference->act(interference->air, other);
    aq_store_close(other);
}

static enum aq_status remove_first_file(void *context, const struct aq_catalog *catalog,
                                        struct aq_edit *edit, struct aq_error *err)
{
    (void)context;
    (void)err;
    struct aq_record record = {.kind = AQ_RECORD_REMOVE,
                               .remove = {.file_id = catalog->files[0].file_id}};
    return aq_edit_add(edit, &record);
}

static void take_input_away(struct air *air, struct aq_store *other)
{
    (void)air;
    cr_assert_eq(aq_store_commit(other, remove_first_file, NULL, NULL), AQ_OK);
}

Test(compaction, gives_up_when_an_input_is_gone)
{
    scratch_make();
    struct air air = {0};
    air_open(&air, "home");
    write_segment(&air, 5, 50);
    struct interference interference = {.act = take_input_away, .air = &air};
    struct aq_compact_options options = {.progress = interfere, .context = &interference};
    struct aq_compact_report report;
    uint64_t number = head(air.store);
    cr_assert_eq(aq_compact(air.store, &options, &report, NULL), AQ_CONFLICT);
    cr_assert_eq(head(air.store), number + 1, "the other edit only");
    cr_assert_eq(count_files("home/archives", ""), 2);
    aq_store_close(air.store);
}

/* Another writer takes the file id that the archive would have had. */
static void write_beside(struct air *air, struct aq_store *other)
{
    struct air beside = *air;
    beside.store = other;
    write_segment(&beside, 3, 40);
    air->rows = beside.rows;
    air->reject_rows = beside.reject_rows;
}

Test(compaction, a_lost_race_only_renames)
{
    scratch_make();
    struct air air = {0};
    air_open(&air, "home");
    write_segment(&air, 5, 50);
    struct interference interference = {.act = write_beside, .air = &air};
    struct aq_compact_report report = compact(
        &air, &(struct aq_compact_options){.progress = interfere, .context = &interference});
    cr_assert(interference.done);
    cr_assert_eq(report.segment_count, 1);
    cr_assert_eq(count_files("home/archives", ".aqa"), 2);
    cr_assert_eq(count_files("home/archives", ""), 2 + 2, "no file under a second name");
    expect_all_rows(&air, true);
    compact(&air, &defaults);
    expect_all_rows(&air, true);
    aq_store_close(air.store);
}

/* A commit that is built twice gives the file a second name, and only that one stays. */
Test(compaction, publishing_again_renames)
{
    scratch_make();
    struct air air = {0};
    struct aq_batch rows;
    struct aq_archive_output output;
    struct aq_error err = {0};
    air_open(&air, "home");
    fill_rows(&air, &rows, 0, 1, 1, 0);
    rows.column_count = air.schema->column_count;
    struct aq_archive_options options = {.schema = air.schema};
    struct aq_archive_tile *tile;
    cr_assert_eq(aq_archive_tile_encode(&options, &rows, &tile, &err), AQ_OK, "%s", err.message);
    cr_assert_eq(aq_archive_output_open(air.store, air.schema, &output, &err), AQ_OK);
    cr_assert_eq(aq_archive_output_append(&output, tile, &err), AQ_OK, "%s", err.message);
    aq_archive_tile_destroy(tile);
    cr_assert_eq(aq_archive_output_finish(&output, &err), AQ_OK, "%s", err.message);
    uint64_t next = 5;
    cr_assert_eq(aq_archive_output_publish(&output, &next, &err), AQ_OK);
    cr_assert(output.file_id == 5 && next == 6);
    next = 4;
    cr_assert_eq(aq_archive_output_publish(&output, &next, &err), AQ_OK);
    cr_assert(output.file_id == 5 && next == 6, "it is still free");
    next = 9;
    cr_assert_eq(aq_archive_output_publish(&output, &next, &err), AQ_OK);
    cr_assert(output.file_id == 9 && next == 10);
    aq_archive_output_deinit(&output);
    cr_assert_eq(count_files("home/archives", ""), 2 + 1);
    cr_assert_eq(access(scratch_file("home/archives/00000000000000000009.aqa"), F_OK), 0);
    rows.column_count += AQ_SYSTEM_COLUMN_COUNT;
    aq_batch_deinit(&rows);
    aq_store_close(air.store);
}

/* A killed compaction got as far as giving its file a name: the number is not used again. */
Test(compaction, a_name_that_is_taken_is_left_alone)
{
    scratch_make();
    struct air air = {0};
    air_open(&air, "home");
    write_segment(&air, 5, 50);
    char name[64];
    char path[128];
    aq_catalog_file_name(AQ_FILE_ARCHIVE, 2, name, sizeof name);
    snprintf(path, sizeof path, "home/%s", name);
    scratch_write(scratch_file(path), "orphan", 6);
    compact(&air, &defaults);
    size_t size;
    free(scratch_read(scratch_file(path), &size));
    cr_assert_eq(size, 6);
    expect_all_rows(&air, true);
    gc_now(air.store, false);
    cr_assert_eq(access(scratch_file(path), F_OK), -1);
    expect_all_rows(&air, true);
    aq_store_close(air.store);
}

/* Compact a store of its own whose only segment has a bit flipped; its size. */
static enum aq_status compact_damaged(unsigned number, size_t offset, size_t *size)
{
    char home[32];
    char path[128];
    struct air air = {0};
    snprintf(home, sizeof home, "home%u", number);
    snprintf(path, sizeof path, "%s/segments/00000000000000000001.seg", home);
    air_open(&air, home);
    write_segment(&air, 3, 30);
    unsigned char *bytes = scratch_read(scratch_file(path), size);
    bytes[offset % *size] ^= 4;
    scratch_write(scratch_file(path), bytes, *size);
    free(bytes);
    uint64_t edit = head(air.store);
    struct aq_compact_report report;
    struct aq_error err = {0};
    enum aq_status status = aq_compact(air.store, &defaults, &report, &err);
    if (status == AQ_CORRUPT) {
        cr_assert_not_null(strstr(err.path, "segments/"), "%s", err.path);
        cr_assert_geq(err.offset, 0);
        cr_assert_eq(head(air.store), edit);
    } else {
        cr_assert_eq(status, AQ_OK, "%s: %s", err.path, err.message);
        expect_all_rows(&air, true);
    }
    aq_store_close(air.store);
    return status;
}

/* Whatever bit of a segment flips: an error that names file and offset, or every row right (what the
 * index repeats of a frame's header is not read twice). */
Test(compaction, damaged_inputs_are_not_merged)
{
    scratch_make();
    size_t size = 1;
    unsigned refused = 0;
    for (unsigned i = 0; i < 50; i++)
        refused += compact_damaged(i, i * (size / 50 + 1), &size) == AQ_CORRUPT;
    cr_assert_gt(refused, 25);
}

/* Columns that were declared later are null in older rows; hidden ones stay. */
Test(compaction, columns_declared_between_segments)
{
    scratch_make();
    struct air air = {0};
    air_open(&air, "home");
    write_segment(&air, 3, 30);
    struct aq_column columns[6];
    memcpy(columns, air_columns, sizeof air_columns);
    columns[5] = (struct aq_column){.name = "added", .type = AQ_TYPE_BIGINT};
    struct aq_schema wider = *air.schema;
    wider.column_count = 6;
    wider.columns = columns;
    const struct aq_schema *recorded;
    const struct aq_schema *rejects;
    struct aq_error err = {0};
    cr_assert_eq(aq_store_declare(air.store, &wider, &recorded, &rejects, &err), AQ_OK, "%s",
                 err.message);
    cr_assert_eq(recorded->column_count, 6);
    size_t tiles;
    struct aq_content_hash before = read_dataset(air.store, recorded, &tiles);
    compact(&air, &defaults);
    struct aq_content_hash after = read_dataset(air.store, recorded, &tiles);
    cr_assert_gt(tiles, 0);
    cr_assert(aq_content_hash_equal(&before, &after));
    expect_all_rows(&air, true);
    aq_store_close(air.store);
}

/* No room for the archive: an error, no leftovers, and every row where it was. */
Test(compaction, a_full_disk_changes_nothing)
{
    scratch_make();
    struct air air = {0};
    air_open(&air, "home");
    write_segment(&air, 20, 500);
    uint64_t number = head(air.store);
    struct rlimit limit;
    cr_assert_eq(getrlimit(RLIMIT_FSIZE, &limit), 0);
    signal(SIGXFSZ, SIG_IGN);
    struct rlimit tight = {.rlim_cur = 8192, .rlim_max = limit.rlim_max};
    cr_assert_eq(setrlimit(RLIMIT_FSIZE, &tight), 0);
    struct aq_compact_report report;
    struct aq_error err = {0};
    enum aq_status status = aq_compact(air.store, &defaults, &report, &err);
    cr_assert_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
    cr_assert_eq(status, AQ_IO);
    cr_assert_not_null(strstr(err.path, "archives/"), "%s", err.path);
    cr_assert_eq(head(air.store), number);
    cr_assert_eq(count_files("home/archives", ""), 2);
    expect_all_rows(&air, false);
    aq_store_close(air.store);
}

/* While a writer is at work: its open segment is left alone, and so is its file by gc. */
Test(compaction, beside_a_writer)
{
    scratch_make();
    struct air air = {0};
    air_open(&air, "home");
    write_segment(&air, 5, 50);
    struct aq_shard_writer *writer = NULL;
    struct aq_shard_writer_options options = {.segment_size_bytes = 1 << 30, .depth = 4};
    struct aq_store *writing = open_store("home", false);
    cr_assert_eq(aq_shard_writer_create(writing, &options, &writer, NULL), AQ_OK);
    struct aq_feed_identity identity = {.dataset_id = air.schema->dataset_id,
                                        .source = aq_slice_of("test"),
                                        .name = aq_slice_of("live"),
                                        .partition = -1};
    uint64_t feed_id;
    uint64_t ordinal = 0;
    cr_assert_eq(aq_shard_writer_claim(writer, &identity, 0, &feed_id, NULL), AQ_OK);
    append_frame(&air, writer, feed_id, &ordinal, 20);
    cr_assert_eq(aq_shard_writer_flush(writer, NULL), AQ_OK);
    struct aq_compact_report report = compact(&air, &defaults);
    cr_assert_eq(report.segment_count, 1);
    gc_now(air.store, false);
    cr_assert_eq(count_files("home/segments", ".seg"), 1);
    expect_all_rows(&air, true);
    append_frame(&air, writer, feed_id, &ordinal, 20);
    cr_assert_eq(aq_shard_writer_seal(writer, NULL), AQ_OK);
    aq_shard_writer_destroy(writer);
    report = compact(&air, &defaults);
    cr_assert_eq(report.segment_count, 1);
    expect_all_rows(&air, true);
    aq_store_close(writing);
    aq_store_close(air.store);
}

/* Killed at random moments: the rows are all there each time, and in the end it gets done. */
Test(compaction, killed_again_and_again)
{
    scratch_make();
    struct air air = {0};
    air_open(&air, "home");
    write_segment(&air, 30, 200);
    for (unsigned round = 0; round < 25; round++) {
        pid_t child = fork();
        if (child == 0) {
            struct aq_store *store = open_store("home", false);
            struct aq_compact_report report;
            enum aq_status status = aq_compact(store, &defaults, &report, NULL);
            _exit(status == AQ_OK ? 0 : 1);
        }
        usleep(round * 1500);
        kill(child, SIGKILL);
        int status;
        cr_assert_eq(waitpid(child, &status, 0), child);
        expect_all_rows(&air, false);
    }
    compact(&air, &defaults);
    expect_all_rows(&air, true);
    gc_now(air.store, false);
    cr_assert_eq(count_files("home/segments", ".seg"), 0);
    cr_assert_eq(count_files("home/archives", ""), 2 + 2);
    expect_all_rows(&air, true);
    aq_store_close(air.store);
}
