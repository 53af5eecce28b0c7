/* How fast this machine codes frames, and how large they are: those of segments that an import has written, coded again.
 * Usage: encode_frames ARCHIVE SEGMENT... ; the archive says how the dataset's columns are declared. Prints microseconds
 * of CPU a row on one core, bytes a row, GB/s of raw columns, the bytes of a frame, and rows.
 *
 * Every frame with rows of the dataset is decoded first, its system columns too, then all are coded in turn, the least of
 * some passes. Raw are the declared columns alone: 8 bytes a number, a boolean or a time, null or not, and the bytes of texts.
 * Failures: a message and exit code 1; so ends a frame whose section does not come out as it was in the segment. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "bench/archive/archive_file.h"
#include "format/segment/frame.h"
#include "format/segment/segment_index.h"

#define PASSES 7

struct frame {
    struct aq_slice section; /* as it was written */
    struct aq_batch rows;
    struct aq_section_input input;
};

struct bench {
    struct archive_file archive;
    struct aq_arena arena; /* of the segments' bytes, and what their headers say */
    uint32_t *column_ids;
    size_t column_count;
    struct frame *frames;
    size_t frame_count;
    uint64_t row_count;
    uint64_t raw_bytes;
    uint64_t coded_bytes; /* of a pass */
};

static void fail(const char *path, const char *why)
{
    fprintf(stderr, "encode_frames: %s: %s\n", path, why);
    exit(1);
}

static void check(enum aq_status status, const char *path, const struct aq_error *err)
{
    if (status < 0)
        fail(path, err->message[0] != '\0' ? err->message : "out of memory");
}

/* The columns of a frame's section: those declared, and the system's. */
static void name_columns(struct bench *bench)
{
    const struct aq_schema *schema = &bench->archive.root.schema;
    bench->column_count = schema->column_count + AQ_SYSTEM_COLUMN_COUNT;
    bench->column_ids = calloc(bench->column_count, sizeof *bench->column_ids);
    if (bench->column_ids == NULL)
        fail("columns", "out of memory");
    for (size_t i = 0; i < bench->column_count; i++)
        bench->column_ids[i] = i < schema->column_count
                                   ? schema->columns[i].id
                                   : AQ_SYSTEM_ID_FEED + (uint32_t)(i - schema->column_count);
}

static uint64_t raw_bytes(const struct aq_batch *rows, size_t column_count)
{
    uint64_t bytes = 0;
    for (size_t c = 0; c < column_count; c++) {
        const struct aq_vector *column = &rows->columns[c];
        bool is_text = aq_type_physical(column->type) == AQ_PHYSICAL_SLICE;
        bytes += is_text ? 0 : column->row_count * sizeof column->ints[0];
        for (size_t row = 0; is_text && row < column->row_count; row++)
            bytes += aq_vector_is_null(column, row) ? 0 : column->slices[row].size;
    }
    return bytes;
}

static void add_section(struct bench *bench, struct aq_slice bytes,
                        const struct aq_section_entry *entry, const char *path)
{
    const struct aq_schema *schema = &bench->archive.root.schema;
    struct aq_error err = {0};
    struct aq_partition *partitions;
    struct frame *grown = realloc(bench->frames, (bench->frame_count + 1) * sizeof *bench->frames);
    if (grown == NULL)
        fail(path, "is too large");
    bench->frames = grown;
    struct frame *frame = &grown[bench->frame_count++];
    *frame = (struct frame){.section = bytes, .input = {.schema = schema}};
    check(aq_schema_batch_init(schema, true, &frame->rows), path, &err);
    check(aq_section_decode(bytes, entry, schema, bench->column_ids, &frame->rows, &err), path,
          &err);
    check(aq_section_partitions(bytes, entry, &bench->arena, &partitions,
                                &frame->input.partition_count, &err),
          path, &err);
    frame->input.partitions = partitions;
    bench->row_count += frame->rows.row_count;
    bench->raw_bytes += raw_bytes(&frame->rows, schema->column_count);
}

static void add_segment(struct bench *bench, const char *path)
{
    struct aq_error err = {0};
    struct aq_frame_prefix prefix;
    struct aq_slice bytes = {0};
    check(bench_file_read(path, &bench->arena, &bytes, &err), path, &err);
    for (size_t at = AQ_SEGMENT_HEADER_BYTES;
         at + AQ_FRAME_PREFIX_BYTES <= bytes.size &&
         aq_frame_prefix_decode(aq_slice_make(bytes.data + at, bytes.size - at), &prefix, NULL) ==
             AQ_OK;
         at += prefix.frame_size_bytes) {
        struct aq_slice frame = aq_slice_make(bytes.data + at, prefix.frame_size_bytes);
        struct aq_frame_header header;
        if (frame.size > bytes.size - at)
            fail(path, "ends inside of a frame");
        check(aq_frame_header_decode(frame, &bench->arena, &header, &err), path, &err);
        for (size_t i = 0; i < header.section_count; i++) {
            const struct aq_section_entry *entry = &header.sections[i];
            if (entry->dataset_id == bench->archive.root.schema.dataset_id)
                add_section(bench, aq_slice_make(frame.data + entry->offset, entry->size_bytes),
                            entry, path);
        }
    }
}

/* What was padded to the end of a block may be longer. */
static bool is_as_written(const struct aq_bytes *coded, struct aq_slice written)
{
    struct aq_arena arena = {0};
    struct aq_frame_header header;
    bool same = aq_frame_header_decode(aq_bytes_view(coded), &arena, &header, NULL) == AQ_OK &&
                header.section_count == 1 && header.sections[0].size_bytes <= written.size &&
                memcmp(coded->data + header.sections[0].offset, written.data,
                       header.sections[0].size_bytes) == 0;
    aq_arena_deinit(&arena);
    return same;
}

/* Seconds of CPU for all frames. */
static double encode_all(struct bench *bench, struct aq_encode_scratch *scratch,
                         struct aq_bytes *out, bool verify)
{
    clock_t begin = clock();
    bench->coded_bytes = 0;
    for (size_t i = 0; i < bench->frame_count; i++) {
        struct frame *frame = &bench->frames[i];
        struct aq_source_range range = {.next_ordinal = 1};
        struct aq_error err = {0};
        uint64_t checksum;
        frame->input.rows = &frame->rows;
        struct aq_frame_input input = {.ranges = &range,
                                       .range_count = 1,
                                       .sections = &frame->input,
                                       .section_count = 1,
                                       .scratch = scratch};
        aq_bytes_clear(out);
        check(aq_frame_encode(&input, out, &checksum, &err), "a frame", &err);
        bench->coded_bytes += out->size;
        if (verify && !is_as_written(out, frame->section))
            fail("a frame", "does not come out as it was written");
    }
    return (double)(clock() - begin) / CLOCKS_PER_SEC;
}

static void measure(struct bench *bench)
{
    struct aq_encode_scratch scratch = {0};
    struct aq_bytes out = {0};
    double best = 1e9;
    encode_all(bench, &scratch, &out, true);
    for (int pass = 0; pass < PASSES; pass++) {
        double took = encode_all(bench, &scratch, &out, false);
        best = took < best ? took : best;
    }
    double rows = (double)bench->row_count;
    printf("%.4f %.3f %.3f %.0f %.0f\n", best * 1e6 / rows, (double)bench->coded_bytes / rows,
           (double)bench->raw_bytes / best / 1e9,
           (double)bench->coded_bytes / (double)bench->frame_count, rows);
    aq_encode_scratch_deinit(&scratch);
    aq_bytes_deinit(&out);
}

int main(int argc, char **argv)
{
    struct bench bench = {0};
    struct aq_error err = {0};
    if (argc < 3)
        fail("usage", "encode_frames ARCHIVE SEGMENT...");
    check(archive_file_read(argv[1], &bench.archive, &err), argv[1], &err);
    name_columns(&bench);
    for (int i = 2; i < argc; i++)
        add_segment(&bench, argv[i]);
    if (bench.row_count == 0)
        fail(argv[2], "has no rows of that dataset");
    measure(&bench);
    for (size_t i = 0; i < bench.frame_count; i++)
        aq_batch_deinit(&bench.frames[i].rows);
    free(bench.frames);
    free(bench.column_ids);
    aq_arena_deinit(&bench.arena);
    aq_arena_deinit(&bench.archive.arena);
    return 0;
}
