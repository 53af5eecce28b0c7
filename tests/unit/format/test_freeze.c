/* The freeze: golden files of version 1 are read to the same values by this and every later version.
 *
 * tests/golden/v1/manifest.txt has a line for each: its kind, type, path, the XXH3-128 of its bytes, and what comes out:
 * hash and count of the rows, or the name of the failure. Lines are added, never changed. What the code knows of
 * encodings, types, records and sections must have its file: AQ_GOLDEN=write makes what is missing (then give what was
 * added in the manifest a second look, and commit it). */
#include <criterion/criterion.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "format/archive/archive_layout.h"
#include "format/segment/frame_layout.h"
#include "format/segment/segment_index.h"
#include "tests/unit/format/freeze_archive.h"
#include "tests/unit/format/freeze_follow.h"
#include "tests/unit/format/golden.h"

#define FOLDER "tests/golden/v1/"
#define MANIFEST FOLDER "manifest.txt"
#define RESULT_MAX 128
#define LATE_ARCHIVE "whole/archive-ans32-repeat.bin"
#define MULTIPLE_ARCHIVE "whole/archive-multiple.bin"
#define FOLLOWERS "whole/archive-followers.bin"
#define DAMAGE_ALL_BYTES \
    4096 /* larger files are damaged here and there, unless AQ_DAMAGE_ALL is set */
#define DAMAGE_STRIDE 61

static struct aq_bytes read_file(const char *name)
{
    char path[256];
    snprintf(path, sizeof path, "v1/%s", name);
    return golden_read(path);
}

static void hex(const void *data, size_t size, char *out)
{
    for (size_t i = 0; i < size; i++)
        snprintf(out + 2 * i, 3, "%02x", ((const uint8_t *)data)[i]);
}

static enum aq_status read_column(struct aq_slice bytes, enum aq_type type,
                                  struct aq_content_hash *content)
{
    struct aq_batch batch;
    struct aq_reader reader = aq_reader_make(bytes);
    uint64_t count = aq_reader_varint(&reader);
    cr_assert_eq(aq_batch_init(&batch, 1, &type), AQ_OK);
    enum aq_status status =
        aq_column_decode(bytes, type, (size_t)count, &batch.arena, &batch.columns[0], NULL);
    batch.row_count = batch.columns[0].row_count;
    if (status == AQ_OK)
        cr_assert_eq(aq_batch_content_hash(&batch, 1, content), AQ_OK);
    aq_batch_deinit(&batch);
    return status;
}

/* An edit is read to what, written again, is the same bytes. */
static enum aq_status read_edit(struct aq_slice bytes, struct aq_content_hash *content)
{
    struct aq_arena arena = {0};
    struct aq_edit_header header;
    struct aq_record *records;
    struct aq_bytes again = {0};
    uint64_t checksum;
    enum aq_status status =
        aq_edit_decode(bytes, &arena, &header, &records, &content->row_count, &checksum, NULL);
    if (status == AQ_OK) {
        cr_assert_eq(
            aq_edit_encode(&header, records, content->row_count, &again, &content->low, NULL),
            AQ_OK);
        cr_assert(aq_slice_equal(aq_bytes_view(&again), bytes));
    }
    aq_bytes_deinit(&again);
    aq_arena_deinit(&arena);
    return status;
}

static enum aq_status read_section(struct aq_slice frame, const struct aq_section_entry *section,
                                   struct aq_content_hash *content)
{
    const struct aq_schema *schema = section->dataset_id == 1 ? &sample_air : &sample_lookup;
    uint32_t ids[8] = {0};
    struct aq_batch batch;
    struct aq_content_hash own;
    for (size_t i = 0; i < schema->column_count; i++)
        ids[i] = schema->columns[i].id;
    ids[schema->column_count] = AQ_SYSTEM_ID_FEED;
    ids[schema->column_count + 1] = AQ_SYSTEM_ID_ORDINAL;
    ids[schema->column_count + 2] = AQ_SYSTEM_ID_STAMP;
    cr_assert_eq(aq_schema_batch_init(schema, true, &batch), AQ_OK);
    enum aq_status status =
        aq_section_decode(aq_slice_make(frame.data + section->offset, section->size_bytes), section,
                          schema, ids, &batch, NULL);
    if (status == AQ_OK) {
        cr_assert_eq(aq_batch_content_hash(&batch, batch.column_count, &own), AQ_OK);
        aq_content_hash_add(content, &own);
    }
    aq_batch_deinit(&batch);
    return status;
}

static enum aq_status read_frame(struct aq_slice bytes, struct aq_content_hash *content)
{
    struct aq_arena arena = {0};
    struct aq_frame_header header;
    enum aq_status status = aq_frame_header_decode(bytes, &arena, &header, NULL);
    if (status == AQ_OK)
        status = aq_frame_verify(bytes, &header, NULL);
    for (size_t i = 0; status == AQ_OK && i < header.section_count; i++)
        status = read_section(bytes, &header.sections[i], content);
    aq_arena_deinit(&arena);
    return status;
}

/* A segment's header, and its index and trailer; what lies between is left out. */
static enum aq_status read_ends(struct aq_slice bytes, struct aq_content_hash *content)
{
    struct aq_segment_header header;
    struct aq_segment_trailer trailer;
    struct aq_segment_index index = {0};
    struct aq_bytes again = {0};
    if (bytes.size < 128)
        return AQ_CORRUPT;
    struct aq_slice end = aq_slice_make(bytes.data + bytes.size - 64, 64);
    uint64_t index_at = aq_load_u64(end.data + 32);
    AQ_TRY(aq_segment_header_decode(bytes, &header, NULL));
    AQ_TRY(aq_segment_trailer_decode(end, index_at + bytes.size - 64, &trailer, NULL));
    AQ_TRY(aq_segment_index_decode(aq_slice_make(bytes.data + 64, bytes.size - 128), &trailer,
                                   &index, NULL));
    aq_segment_header_encode(&header, &again);
    cr_assert_eq(aq_segment_footer_encode(&index, &header, &again), AQ_OK);
    cr_assert(aq_slice_equal(aq_bytes_view(&again), bytes));
    content->row_count = index.frame_count;
    aq_segment_index_deinit(&index);
    aq_bytes_deinit(&again);
    return AQ_OK;
}

/* What reading gives, as the manifest has it. */
static void read_golden(const char *kind, unsigned type, struct aq_slice bytes,
                        char result[RESULT_MAX])
{
    struct aq_content_hash content = {0};
    struct aq_error err = {0};
    enum aq_status status = AQ_INVALID;
    if (strcmp(kind, "column") == 0)
        status = read_column(bytes, (enum aq_type)type, &content);
    else if (strcmp(kind, "edit") == 0)
        status = read_edit(bytes, &content);
    else if (strcmp(kind, "frame") == 0)
        status = read_frame(bytes, &content);
    else if (strcmp(kind, "ends") == 0)
        status = read_ends(bytes, &content);
    else if (strcmp(kind, "archive") == 0)
        status = read_archive(bytes, &content, &err);
    if (status == AQ_OK)
        snprintf(result, RESULT_MAX, "%016" PRIx64 "%016" PRIx64 ":%" PRIu64, content.high,
                 content.low, content.row_count);
    else
        snprintf(result, RESULT_MAX, "%s", status == AQ_UNSUPPORTED ? "unsupported" : "corrupt");
    cr_assert(status == AQ_OK || status == AQ_CORRUPT || status == AQ_UNSUPPORTED);
}

/* Make the file, and its line, unless it is there. */
static void make(const char *kind, unsigned type, const char *name, struct aq_bytes *bytes)
{
    char path[256], hash[40], result[RESULT_MAX];
    snprintf(path, sizeof path, FOLDER "%s", name);
    if (access(path, F_OK) != 0) {
        struct aq_hash128 own = aq_hash128_of(bytes->data, bytes->size);
        golden_write(path, aq_bytes_view(bytes));
        hex(own.bytes, sizeof own.bytes, hash);
        read_golden(kind, type, aq_bytes_view(bytes), result);
        FILE *manifest = fopen(MANIFEST, "a");
        cr_assert_not_null(manifest);
        fprintf(manifest, "%s %u %s %s %s\n", kind, type, name, hash, result);
        fclose(manifest);
    }
    aq_bytes_deinit(bytes);
}

static bool writes(void)
{
    const char *mode = getenv("AQ_GOLDEN");
    return mode != NULL && strcmp(mode, "write") == 0;
}

static bool is_listed(const char *name)
{
    char line[512], listed[200];
    FILE *manifest = fopen(MANIFEST, "r");
    bool found = false;
    while (manifest != NULL && !found && fgets(line, sizeof line, manifest) != NULL)
        found = sscanf(line, "%*s %*s %199s", listed) == 1 && strcmp(listed, name) == 0;
    if (manifest != NULL)
        fclose(manifest);
    return found;
}

static enum aq_type type_of(enum aq_encoding encoding)
{
    return encoding >= AQ_ENCODING_TEXT      ? AQ_TYPE_TEXT
           : encoding >= AQ_ENCODING_DECIMAL ? AQ_TYPE_DOUBLE
                                             : AQ_TYPE_BIGINT;
}

static void need_encoding(enum aq_encoding encoding, const char *text)
{
    char name[100], trace[256];
    snprintf(name, sizeof name, "encoding/%02d-%s.bin", (int)encoding, text);
    if (writes()) {
        struct aq_bytes bytes = {0};
        freeze_encode(encoding, &bytes);
        make("column", type_of(encoding), name, &bytes);
    }
    cr_assert(is_listed(name), "%s: a new encoding needs a golden file", name);
    struct aq_bytes bytes = read_file(name);
    cr_assert_eq(aq_column_describe(aq_bytes_view(&bytes), trace, sizeof trace, NULL), AQ_OK);
    cr_assert_eq(strncmp(trace, text, strlen(text)), 0, "%s has %s", name, trace);
    aq_bytes_deinit(&bytes);
}

static void need_record(enum aq_record_kind kind, const char *text)
{
    char name[100];
    snprintf(name, sizeof name, "record/%02d-%s.bin", (int)kind, text);
    if (writes()) {
        struct aq_record record = freeze_record(kind);
        struct aq_bytes bytes = {0};
        freeze_edit(&record, &bytes);
        make("edit", 0, name, &bytes);
    }
    cr_assert(is_listed(name), "%s: a new record needs a golden file", name);
}

static void need_type(enum aq_type type, enum aq_profile profile)
{
    char name[100];
    snprintf(name, sizeof name, "type/%02d-%s.bin", (int)type,
             profile == AQ_PROFILE_FRAME ? "frame" : "archive");
    if (writes()) {
        struct aq_bytes bytes = {0};
        struct aq_arena arena = {0};
        struct aq_vector vector;
        aq_vector_init(&vector, type);
        freeze_fill(&vector, &arena);
        cr_assert_eq(aq_column_encode(&vector, 0, vector.row_count, profile, &bytes), AQ_OK);
        make("column", type, name, &bytes);
        aq_vector_deinit(&vector);
        aq_arena_deinit(&arena);
    }
    cr_assert(is_listed(name), "%s: a new type needs golden files", name);
}

Test(freeze, every_encoding_type_record_and_section_has_a_golden_file)
{
#define NEED_ENCODING(name, number, text) need_encoding(name, text);
    AQ_ENCODING_TABLE(NEED_ENCODING)
#define NEED_RECORD(name, number, text) need_record(name, text);
    AQ_RECORD_TABLE(NEED_RECORD)
    for (unsigned type = AQ_TYPE_BOOLEAN; type <= AQ_TYPE_TIMESTAMPTZ; type++) {
        need_type((enum aq_type)type, AQ_PROFILE_FRAME);
        need_type((enum aq_type)type, AQ_PROFILE_ARCHIVE);
    }
#define NEED_SECTION(name, number, text) \
    cr_assert(is_listed("whole/archive-" text ".bin"), "section " text " needs a golden file");
    AQ_SECTION_TABLE(NEED_SECTION)
}

/* The incompatible features of an archive's root; what the columns of its first tile are coded as, a line each, in `all`. */
static uint32_t describe_archive(const char *name, char *all, size_t all_size)
{
    cr_assert(is_listed(name));
    struct aq_bytes bytes = read_file(name);
    struct aq_slice part;
    struct aq_archive_root root;
    struct aq_tile_directory directory;
    struct aq_arena arena = {0};
    char text[256];
    size_t used = 0;
    uint64_t root_at = aq_load_u64(bytes.data + bytes.size - AQ_ARCHIVE_TRAILER_BYTES + 24);
    size_t root_size = bytes.size - AQ_ARCHIVE_TRAILER_BYTES - (size_t)root_at;
    uint32_t features = aq_load_u32(bytes.data + root_at + AQ_PREAMBLE_AT_INCOMPATIBLE);
    cr_assert_eq(
        aq_archive_root_decode(aq_slice_make(bytes.data + root_at, root_size), &arena, &root, NULL),
        AQ_OK);
    const struct aq_tile_entry *tile = &root.tiles[0];
    part = aq_slice_make(bytes.data + tile->directory_offset, tile->directory_size_bytes);
    cr_assert_eq(aq_tile_directory_decode(part, tile, &root, &arena, &directory, NULL), AQ_OK);
    for (size_t i = 0; i < directory.chunk_count; i++) {
        const struct aq_chunk_entry *chunk = &directory.chunks[i];
        part = aq_slice_make(bytes.data + chunk->offset, chunk->size_bytes);
        cr_assert_eq(aq_chunk_describe(part, chunk, text, sizeof text, NULL), AQ_OK);
        used += (size_t)snprintf(all + used, all_size - used, "%s\n", text);
        cr_assert_lt(used, all_size);
    }
    aq_arena_deinit(&arena);
    aq_bytes_deinit(&bytes);
    return features;
}

/* Encodings that only archives have, in ones whose roots say so, chosen by the writer. */
Test(freeze, an_archive_has_the_encodings_that_its_feature_is_for)
{
    char all[1024];
    cr_assert_eq(describe_archive(LATE_ARCHIVE, all, sizeof all),
                 AQ_ARCHIVE_WITH_SECTIONS | AQ_ARCHIVE_WITH_LATE);
    cr_assert_not_null(strstr(all, "\nans32\n"), "%s", all);
    cr_assert_not_null(strstr(all, "repeat(bitpack 14, bitpack 12, delta(constant), ans32)"));
    cr_assert_not_null(strstr(all, "\nrepeat(dict(bitpack 10, bitpack 2), "));
    cr_assert_eq(describe_archive(MULTIPLE_ARCHIVE, all, sizeof all), AQ_ARCHIVE_WITH_MULTIPLE);
    cr_assert_not_null(strstr(all, "\nmultiple 1000(delta("), "%s", all);
    cr_assert_not_null(strstr(all, "; multiple 3000("), "%s", all);
}

/* Every file is as it was when it was listed, and is read to what it was read to then. */
Test(freeze, golden_files_are_read_to_the_same_values)
{
    char line[512], kind[32], name[200], hash[40], expected[RESULT_MAX], found[40];
    char result[RESULT_MAX];
    unsigned type;
    size_t count = 0;
    FILE *manifest = fopen(MANIFEST, "r");
    cr_assert_not_null(manifest);
    while (fgets(line, sizeof line, manifest) != NULL) {
        cr_assert_eq(sscanf(line, "%31s %u %199s %39s %127s", kind, &type, name, hash, expected), 5,
                     "%s", line);
        struct aq_bytes bytes = read_file(name);
        struct aq_hash128 own = aq_hash128_of(bytes.data, bytes.size);
        hex(own.bytes, sizeof own.bytes, found);
        cr_assert_str_eq(found, hash, "%s has been changed", name);
        read_golden(kind, type, aq_bytes_view(&bytes), result);
        cr_assert_str_eq(result, expected, "%s", name);
        aq_bytes_deinit(&bytes);
        count++;
    }
    fclose(manifest);
    cr_assert_geq(count, 75);
}

/* A copy of exactly these bytes, so that a sanitizer sees what is read behind them. */
static void expect_refused(const char *kind, unsigned type, struct aq_slice bytes, size_t size,
                           const char *what)
{
    char result[RESULT_MAX];
    uint8_t *exact = malloc(size + (size == 0));
    cr_assert_not_null(exact);
    memcpy(exact, bytes.data, size);
    read_golden(kind, type, aq_slice_make(exact, size), result);
    cr_assert_str_eq(result, "corrupt", "%s", what);
    free(exact);
}

/* Every bit, and every length; of a file that is too long for that one of so many, unless it is asked for. */
static void damage(const char *kind, unsigned type, const char *name)
{
    char what[256];
    struct aq_bytes bytes = read_file(name);
    bool all = bytes.size <= DAMAGE_ALL_BYTES || getenv("AQ_DAMAGE_ALL") != NULL;
    const char *seed = getenv("AQ_SEED");
    size_t step = all ? 1 : DAMAGE_STRIDE;
    size_t first = seed == NULL || all ? 0 : strtoull(seed, NULL, 10) % step;
    for (size_t bit = first; bit < bytes.size * 8; bit += step) {
        snprintf(what, sizeof what, "bit %zu of %s", bit, name);
        bytes.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
        expect_refused(kind, type, aq_bytes_view(&bytes), bytes.size, what);
        bytes.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    for (size_t size = first; size < bytes.size; size += step) {
        snprintf(what, sizeof what, "%zu bytes of %s", size, name);
        expect_refused(kind, type, aq_bytes_view(&bytes), size, what);
    }
    aq_bytes_deinit(&bytes);
}

Test(freeze, no_flip_and_no_cut_is_believed)
{
    char line[512], kind[32], name[200];
    unsigned type;
    size_t count = 0;
    FILE *manifest = fopen(MANIFEST, "r");
    cr_assert_not_null(manifest);
    while (fgets(line, sizeof line, manifest) != NULL) {
        cr_assert_eq(sscanf(line, "%31s %u %199s", kind, &type, name), 3);
        if (strcmp(kind, "column") == 0 || strncmp(name, "bad/", 4) == 0)
            continue; /* a coded column's checksum is its chunk's */
        damage(kind, type, name);
        count++;
    }
    fclose(manifest);
    cr_assert_geq(count, 30);
}

/* A file of tests/golden, as a file of version 1. */
static void adopt(const char *kind, const char *from, const char *name)
{
    char path[256];
    snprintf(path, sizeof path, "../%s", from);
    struct aq_bytes bytes = read_file(path);
    make(kind, 0, name, &bytes);
}

/* The same with 32 bits set at an offset, and the checksum of [begin, end) made right at end. */
static void alter(const char *kind, const char *from, const char *name, size_t at, uint32_t bits,
                  size_t begin, size_t end)
{
    char path[256];
    snprintf(path, sizeof path, "../%s", from);
    struct aq_bytes bytes = read_file(path);
    aq_bytes_patch_u32(&bytes, at, bits);
    if (end > begin)
        aq_bytes_patch_u64(&bytes, end, aq_checksum(bytes.data + begin, end - begin));
    make(kind, 0, name, &bytes);
}

static void bad_column(enum aq_type type, const char *name, const void *data, size_t size)
{
    struct aq_bytes bytes = {0};
    aq_bytes_append(&bytes, data, size);
    make("column", type, name, &bytes);
}

/* Forty words of tokens 0 and 1, entropy-coded in 32 lanes. */
static void bad_ans32(const char *name, uint32_t state, uint8_t frequency_high, size_t stream_size)
{
    struct aq_bytes bytes = {0};
    uint8_t head[] = {40, 0, AQ_ENCODING_ANS32, 1, 0, 1, 0, 2, 0x80, 4, 0x80, frequency_high};
    aq_bytes_append(&bytes, head, sizeof head);
    for (unsigned lane = 0; lane < 32; lane++)
        aq_bytes_u32(&bytes, state);
    aq_bytes_varint(&bytes, stream_size);
    aq_bytes_append_zeros(&bytes, stream_size);
    make("column", AQ_TYPE_BIGINT, name, &bytes);
}

static void make_whole(void)
{
    struct sample sample;
    uint64_t checksum;
    adopt("archive", "archive.bin", "whole/archive-plain.bin");
    adopt("archive", "archive-unique.bin", "whole/archive-unique.bin");
    adopt("archive", "archive-runs.bin", "whole/archive-run-statistics.bin");
    adopt("frame", "frame.bin", "whole/frame-one-section.bin");
    adopt("ends", "segment-ends.bin", "whole/segment-ends.bin");
    adopt("edit", "catalog-edit.bin", "whole/edit-three-records.bin");
    adopt("edit", "catalog-checkpoint.bin", "whole/checkpoint.bin");
    struct aq_bytes bytes = freeze_archive();
    make("archive", 0, LATE_ARCHIVE, &bytes);
    bytes = freeze_run_ends();
    make("archive", 0, "whole/archive-run-ends.bin", &bytes);
    bytes = freeze_multiples();
    make("archive", 0, MULTIPLE_ARCHIVE, &bytes);
    bytes = freeze_follow();
    make("archive", 0, FOLLOWERS, &bytes);
    sample_init(&sample);
    bytes = sample_encode(&sample.input, &checksum);
    make("frame", 0, "whole/frame-two-sections.bin", &bytes);
    sample.input.range_count = sample.input.section_count = 0;
    bytes = sample_encode(&sample.input, &checksum);
    make("frame", 0, "whole/frame-marker.bin", &bytes);
    sample_deinit(&sample);
    /* Compatible features that nobody knows yet are passed over: in an archive's header and root, in a frame. */
    alter("archive", "archive.bin", "whole/archive-header-compatible.bin", 12, 0x80000000, 0, 56);
    alter("archive", "archive.bin", "whole/archive-root-compatible.bin", 448 + 12, 0x80000000, 448,
          704 - 8);
}

/* The golden file with followers, one of its bytes another; checksums of the chunk [chunk_at, chunk_end), which stands at
 * `checksum_at` of the directory, and of directory and root made right. */
static void bad_follower(const char *name, size_t at, uint8_t byte, size_t chunk_at,
                         size_t chunk_end, size_t checksum_at)
{
    enum { DIRECTORY_AT = 0x340, CHECKSUM_AT = 0x477, ROOT_AT = 0x400, ROOT_END = 0x4f8 };
    struct aq_bytes bytes = read_file(FOLLOWERS);
    const uint8_t *data = bytes.data;
    bytes.data[at] = byte;
    if (chunk_end > 0)
        aq_bytes_patch_u64(&bytes, checksum_at, aq_checksum(data + chunk_at, chunk_end - chunk_at));
    aq_bytes_patch_u64(&bytes, CHECKSUM_AT,
                       aq_checksum(data + DIRECTORY_AT, ROOT_AT - DIRECTORY_AT));
    aq_bytes_patch_u64(&bytes, ROOT_END, aq_checksum(data + ROOT_AT, ROOT_END - ROOT_AT));
    make("archive", 0, name, &bytes);
}

static void make_bad_followers(void)
{
    bad_follower("bad/archive-follows-itself.bin", 0x3f0, 2, 0, 0, 0);
    bad_follower("bad/archive-follows-a-follower.bin", 0x3f2, 2, 0, 0, 0);
    bad_follower("bad/archive-follows-none.bin", 0x3f0, 5, 0, 0, 0);
    bad_follower("bad/archive-follows-twice.bin", 0x3f1, 2, 0, 0, 0);
    bad_follower("bad/archive-followers-unannounced.bin", 0x410, 1, 0, 0, 0);
    bad_follower("bad/archive-exception-beyond.bin", 0x109, 0x7e, 0x100, 0x180, 0x38f);
    /* Two of the leader's values made one: the lists are longer than what it has. */
    bad_follower("bad/archive-list-too-long.bin", 0x1b4, 8, 0x180, 0x340, 0x3a6);
}

static void make_bad(void)
{
    make_bad_followers();
    alter("archive", "archive.bin", "bad/archive-header-incompatible.bin", 16, 0x80000000, 0, 56);
    alter("archive", "archive.bin", "bad/archive-root-incompatible.bin", 448 + 16, 0x80000000, 448,
          704 - 8);
    alter("archive", "archive.bin", "bad/archive-version.bin", 8, 2, 0, 56);
    alter("archive", "archive.bin", "bad/archive-chunk.bin", 200, 7, 0, 0);
    alter("archive", "archive.bin", "bad/archive-padding.bin", 128 + 60, 1, 0, 0);
    alter("frame", "frame.bin", "bad/frame-incompatible.bin", 16, 4, 0, 120);
    alter("frame", "frame.bin", "bad/frame-version.bin", 8, 2, 0, 120);
    alter("frame", "frame.bin", "bad/frame-section.bin", 0x188, 7, 0, 0);
    alter("ends", "segment-ends.bin", "bad/segment-header-incompatible.bin", 16, 1, 0, 56);
    alter("edit", "catalog-edit.bin", "bad/edit-incompatible.bin", 16, 1, 0, 128);
    alter("edit", "catalog-edit.bin", "bad/edit-flag.bin", 64, 2, 0, 128);
    alter("edit", "catalog-edit.bin", "bad/edit-unknown-record.bin", 120, 0x0101027f, 0, 128);
    alter("edit", "catalog-edit.bin", "bad/edit-checksum.bin", 40, 0, 0, 0);
#define BAD(type, name, ...)                                              \
    bad_column(type, "bad/column-" name ".bin", (uint8_t[]){__VA_ARGS__}, \
               sizeof(uint8_t[]){__VA_ARGS__})
    BAD(AQ_TYPE_BIGINT, "code-without-entry", 3, 0, 3, 1, 1, 2, 1, 10);
    BAD(AQ_TYPE_BIGINT, "five-deep", 9, 0, 5, 0, 5, 0, 5, 0, 5, 0, 1, 0);
    BAD(AQ_TYPE_BIGINT, "width-65", 1, 0, 4, 0, 65, 0, 0, 0, 0, 0, 0, 0, 0, 0);
    BAD(AQ_TYPE_BIGINT, "left-over", 1, 0, 1, 2, 0);
    BAD(AQ_TYPE_BIGINT, "unknown-encoding", 1, 0, 15, 2);
    BAD(AQ_TYPE_BIGINT, "long-varint", 1, 0, 1, 0x82, 0);
    BAD(AQ_TYPE_BOOLEAN, "boolean-2", 1, 0, 1, 4);
    BAD(AQ_TYPE_INTEGER, "integer-of-33-bits", 1, 0, 1, 0x80, 0x80, 0x80, 0x80, 0x20);
    BAD(AQ_TYPE_BIGINT, "null-flag-2", 2, 2, 1, 4, 1, 2);
    BAD(AQ_TYPE_DOUBLE, "exponent-23", 1, 0, 16, 1, 1, 23, 1, 0, 1, 2);
    BAD(AQ_TYPE_TEXT, "length-below-0", 1, 0, 32, 1, 1, 0);
    /* Half a GiB that is said to come out of a frame of zstd of 13 bytes. */
    BAD(AQ_TYPE_TEXT, "bomb", 1, 0, 32, 1, 0x80, 0x80, 0x80, 0x80, 4, 1, 13, 0x28, 0xb5, 0x2f, 0xfd,
        0x20, 0, 1, 0, 0, 0, 0, 0, 0);
    BAD(AQ_TYPE_BIGINT, "run-too-long", 3, 0, 2, 2, 4, 2, 1, 1, 1, 2);
    BAD(AQ_TYPE_BIGINT, "delta-of-one", 1, 0, 5, 0, 1, 2);
    BAD(AQ_TYPE_BIGINT, "words-of-mode-2", 1, 0, 6, 2, 0, 1, 0, 7);
    BAD(AQ_TYPE_BIGINT, "nine-planes", 1, 0, 6, 1, 9, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0,
        1, 0, 1);
    BAD(AQ_TYPE_BIGINT, "ans-frequencies", 4, 0, 7, 1, 0, 2, 0, 0x80, 16, 0xff, 15, 0, 0, 1, 0, 0,
        0, 1, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0);
    BAD(AQ_TYPE_BIGINT, "copy-from-before-the-first", 10, 0, 9, 1, 1, 8, 1, 10, 1, 8, 1, 14);
    BAD(AQ_TYPE_BIGINT, "repeat-in-repeat", 10, 0, 9, 1, 1, 10, 1, 8, 1, 0, 9, 1, 1, 4, 1, 4, 1, 0,
        1, 14);
    BAD(AQ_TYPE_BIGINT, "multiple-0", 3, 0, 10, 0, 0, 1, 2);
    BAD(AQ_TYPE_BIGINT, "multiple-1", 3, 0, 10, 1, 0, 1, 2);
    BAD(AQ_TYPE_BIGINT, "multiple-of-64-bits", 3, 0, 10, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80,
        0x80, 0x80, 1, 0, 1, 2);
    BAD(AQ_TYPE_BIGINT, "multiple-in-multiple", 3, 0, 10, 2, 0, 5, 0, 10, 2, 0, 1, 2);
    BAD(AQ_TYPE_BIGINT, "multiple-too-deep", 9, 0, 10, 2, 0, 5, 0, 5, 0, 5, 0, 5, 0, 1, 0);
    BAD(AQ_TYPE_DOUBLE, "patch-beyond", 1, 0, 16, 1, 1, 0, 1, 1, 1, 2, 1, 0, 1, 0);
    BAD(AQ_TYPE_DOUBLE, "scales-of-too-few", 2, 0, 16, 1, 1, 0, 1, 0, 1, 2);
    BAD(AQ_TYPE_TEXT, "block-of-method-2", 1, 0, 32, 1, 2, 2, 'a');
    BAD(AQ_TYPE_TEXT, "text-cut", 1, 0, 32, 1, 4, 0, 'a');
    BAD(AQ_TYPE_TEXT, "entry-out-of-range", 2, 0, 33, 1, 32, 1, 2, 0, 'a', 1, 2);
    /* A frame of zstd of three bytes, where there should be four. */
    BAD(AQ_TYPE_TEXT, "zstd-of-another-size", 1, 0, 32, 1, 8, 1, 12, 0x28, 0xb5, 0x2f, 0xfd, 0x20,
        3, 0x19, 0, 0, 'a', 'b', 'c');
#undef BAD
    bad_ans32("bad/column-ans32-state.bin", 65535, 4, 0);
    bad_ans32("bad/column-ans32-frequencies.bin", 65536, 3, 0);
    bad_ans32("bad/column-ans32-last-state.bin", 65536, 4, 200);
}

Test(freeze, make_what_is_missing)
{
    if (!writes())
        return;
    make_whole();
    make_bad();
}
