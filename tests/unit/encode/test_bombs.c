/* Decompression bombs: columns of a few bytes that say they have 65,536 rows and huge texts. Each is decoded with little memory to be
 * had: what lies is corrupt before anything is allocated for it, what is true takes what its rows take, and what is true and too
 * large for the machine is AQ_NO_MEMORY. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>
#include <zstd.h>

#include "format/archive/archive.h"
#include "format/encode/encode.h"
#include "format/encode/node.h"

#define ROWS 65536 /* of a tile, at most */
#define MIB ((size_t)1 << 20)

/* Let the process have so much more; each test is a process of its own. Sanitizers need an address space without end. */
static bool limit_memory(size_t more)
{
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    (void)more;
    return false;
#else
    size_t pages;
    FILE *file = fopen("/proc/self/statm", "r");
    cr_assert_not_null(file);
    cr_assert_eq(fscanf(file, "%zu", &pages), 1);
    fclose(file);
    struct rlimit limit;
    cr_assert_eq(getrlimit(RLIMIT_AS, &limit), 0);
    limit.rlim_cur = pages * (size_t)sysconf(_SC_PAGESIZE) + more;
    cr_assert_eq(setrlimit(RLIMIT_AS, &limit), 0);
    return true;
#endif
}

static enum aq_status decode(enum aq_type type, const struct aq_bytes *coded)
{
    struct aq_arena arena = {0};
    struct aq_vector vector;
    aq_vector_init(&vector, type);
    enum aq_status status =
        aq_column_decode(aq_bytes_view(coded), type, ROWS, &arena, &vector, NULL);
    cr_assert(status != AQ_OK || vector.row_count == ROWS);
    aq_vector_deinit(&vector);
    aq_arena_deinit(&arena);
    return status;
}

/* A column of ROWS rows without nulls whose nodes these bytes are. */
static enum aq_status decode_nodes(enum aq_type type, const void *nodes, size_t size)
{
    struct aq_bytes coded = {0};
    aq_bytes_varint(&coded, ROWS);
    aq_bytes_u8(&coded, 0);
    aq_bytes_append(&coded, nodes, size);
    enum aq_status status = decode(type, &coded);
    char text[256];
    cr_assert_eq(aq_column_describe(aq_bytes_view(&coded), text, sizeof text, NULL), status);
    aq_bytes_deinit(&coded);
    return status;
}
#define DECODE(type, nodes) decode_nodes((type), (nodes), sizeof(nodes) - 1)

/* A node of texts that are all of `length` bytes, in a block of zstd of `stored_size` bytes. */
static void append_texts(struct aq_bytes *coded, uint64_t length, const void *stored,
                         size_t stored_size)
{
    aq_bytes_u8(coded, AQ_ENCODING_TEXT);
    aq_constant_encode((int64_t)length, coded);
    aq_bytes_u8(coded, 1);
    aq_bytes_slice(coded, aq_slice_make(stored, stored_size));
}

static struct aq_bytes texts(uint64_t length, const void *stored, size_t stored_size)
{
    struct aq_bytes coded = {0};
    aq_bytes_varint(&coded, ROWS);
    aq_bytes_u8(&coded, 0);
    append_texts(&coded, length, stored, stored_size);
    return coded;
}

/* Text of so many bytes, all zero, by zstd; the caller releases it. */
static struct aq_bytes zeros_packed(size_t size)
{
    struct aq_bytes zeros = {0};
    struct aq_bytes packed = {0};
    aq_bytes_append_zeros(&zeros, size);
    uint8_t *room = aq_bytes_reserve(&packed, ZSTD_compressBound(size));
    cr_assert(zeros.size == size && room != NULL);
    packed.size = ZSTD_compress(room, ZSTD_compressBound(size), zeros.data, size, 1);
    cr_assert_not(ZSTD_isError(packed.size));
    aq_bytes_deinit(&zeros);
    return packed;
}

/* Lengths that add up to more than a column may have, to what cannot come out of so few bytes, and to what is not there. */
Test(bombs, texts_that_are_not_there)
{
    struct aq_bytes few = zeros_packed(1000);
    static const uint64_t lengths[] = {AQ_DECODED_BYTES_MAX / ROWS, AQ_DECODED_BYTES_MAX / ROWS + 1,
                                       UINT32_MAX, INT64_MAX, UINT64_MAX};
    limit_memory(24 * MIB);
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        struct aq_bytes coded = texts(lengths[i], few.data, few.size);
        cr_assert_eq(decode(AQ_TYPE_TEXT, &coded), AQ_CORRUPT, "%zu", i);
        aq_bytes_deinit(&coded);
    }
    aq_bytes_append_zeros(&few, 65536); /* enough for zstd to make 1.5 GiB of, were it zstd's */
    struct aq_bytes coded = texts(3 * AQ_DECODED_BYTES_MAX / 2 / ROWS, few.data, few.size);
    cr_assert_eq(decode(AQ_TYPE_TEXT, &coded), AQ_CORRUPT);
    aq_bytes_deinit(&coded);
    aq_bytes_deinit(&few);
    cr_assert_eq(DECODE(AQ_TYPE_BYTEA, "\x20\1\x80\x80\1\0abc"), AQ_CORRUPT, "not packed");
    /* The same as the only entry of a dictionary. */
    cr_assert_eq(DECODE(AQ_TYPE_JSON, "\x21\1\x20\1\x80\x80\x80\x80\4\1\3abc\1\0"), AQ_CORRUPT);
    cr_assert_eq(DECODE(AQ_TYPE_JSON, "\x21\x80\x80\4\x20\1\x80\x80\1\1\3abc\1\0"), AQ_CORRUPT);
}

/* As a dictionary's entry a text is there once, however many rows have it. */
Test(bombs, one_text_in_all_rows)
{
    struct aq_bytes packed = zeros_packed(4 * MIB);
    struct aq_bytes coded = {0};
    cr_assert_lt(packed.size, 1000);
    aq_bytes_varint(&coded, ROWS);
    aq_bytes_u8(&coded, 0);
    aq_bytes_u8(&coded, AQ_ENCODING_TEXT_DICT);
    aq_bytes_varint(&coded, 1);
    append_texts(&coded, 4 * MIB, packed.data, packed.size);
    aq_constant_encode(0, &coded);
    limit_memory(24 * MIB);
    cr_assert_eq(decode(AQ_TYPE_TEXT, &coded), AQ_OK);
    aq_bytes_deinit(&packed);
    aq_bytes_deinit(&coded);
}

/* 128 MiB in all rows together, which are there, in 4 KiB: decoded where there is room, refused where there is none. */
Test(bombs, texts_that_are_there)
{
    struct aq_bytes packed = zeros_packed(128 * MIB);
    struct aq_bytes coded = texts(128 * MIB / ROWS, packed.data, packed.size);
    cr_assert_lt(coded.size, 16384);
    cr_assert_eq(decode(AQ_TYPE_TEXT, &coded), AQ_OK);
    if (limit_memory(24 * MIB))
        cr_assert_eq(decode(AQ_TYPE_TEXT, &coded), AQ_NO_MEMORY);
    aq_bytes_deinit(&packed);
    aq_bytes_deinit(&coded);
}

/* Each part of each encoding as many as rows, in a few bytes: some MiB. */
Test(bombs, as_many_parts_as_rows)
{
    limit_memory(24 * MIB);
#define ALL "\x80\x80\4" /* 65,536 */
    cr_assert_eq(DECODE(AQ_TYPE_BIGINT, "\1\2"), AQ_OK);
    cr_assert_eq(DECODE(AQ_TYPE_BIGINT, "\2" ALL "\1\0\1\2"), AQ_OK, "runs");
    cr_assert_eq(DECODE(AQ_TYPE_BIGINT, "\3" ALL "\1\2\1\0"), AQ_OK, "a dictionary's entries");
    cr_assert_eq(DECODE(AQ_TYPE_BIGINT, "\3" ALL "\3" ALL "\3" ALL "\1\2\1\0\1\0\1\0"), AQ_OK,
                 "dictionaries' dictionaries");
    cr_assert_eq(DECODE(AQ_TYPE_BIGINT, "\x09" ALL "\1\0\1\0\1\0"), AQ_CORRUPT,
                 "copies, the first of them of nothing");
    cr_assert_eq(DECODE(AQ_TYPE_BIGINT, "\x09\xff\xff\3\1\0\1\0\1\0\1\2"), AQ_CORRUPT);
    cr_assert_eq(DECODE(AQ_TYPE_BIGINT, "\x09\1\1\2\1\xfc\xff\7\1\0\1\2"), AQ_OK,
                 "one copy of one value");
    cr_assert_eq(DECODE(AQ_TYPE_BIGINT, "\x0a\2\0\3" ALL "\3" ALL "\3" ALL "\1\2\1\0\1\0\1\0"),
                 AQ_OK, "of multiples");
    cr_assert_eq(DECODE(AQ_TYPE_DOUBLE, "\x10\1" ALL "\0\1" ALL "\1\0\1\0\1\0"), AQ_OK, "patches");
    cr_assert_eq(DECODE(AQ_TYPE_DOUBLE, "\x10" ALL "\1\0\1"), AQ_CORRUPT, "scales");
    cr_assert_eq(DECODE(AQ_TYPE_BIGINT, "\2\x81\x80\4\1\0\1\2"), AQ_CORRUPT, "more than rows");
#undef ALL
}

/* Memory that a caller keeps from column to column does not keep what one of them took. */
Test(bombs, kept_memory_stays_small)
{
    enum { RUNS = 1 << 20 };
    struct aq_decode_scratch kept = {0};
    struct aq_arena arena = {0};
    struct aq_bytes coded = {0};
    struct aq_vector vector;
    aq_vector_init(&vector, AQ_TYPE_BIGINT);
    aq_bytes_varint(&coded, RUNS);
    aq_bytes_append(&coded, "\0\2", 2);
    aq_bytes_varint(&coded, RUNS);
    aq_bytes_append(&coded, "\1\0\1\2", 4);
    for (size_t cut = 0; cut < 2; cut++) { /* taken, and refused at its end */
        struct aq_slice bytes = aq_slice_make(coded.data, coded.size - cut);
        struct aq_wanted wanted = {.end = RUNS};
        cr_assert_eq(aq_column_decode_rows(bytes, AQ_TYPE_BIGINT, RUNS, &wanted, &kept, &arena,
                                           &vector, NULL),
                     cut == 0 ? AQ_OK : AQ_CORRUPT);
        cr_assert(kept.arena.used_bytes == 0 && kept.arena.head == NULL);
    }
    aq_decode_scratch_deinit(&kept);
    aq_arena_deinit(&arena);
    aq_vector_deinit(&vector);
    aq_bytes_deinit(&coded);
}

/* A node of entropy coding whose streams are said to be as long as an address space, and one that is true: one token, which takes
 * no bit, for all rows. */
Test(bombs, streams)
{
    struct aq_bytes nodes = {0};
    limit_memory(24 * MIB);
    for (unsigned lanes = 4; lanes <= 32; lanes *= 8)
        for (unsigned huge = 0; huge < 2; huge++) {
            aq_bytes_clear(&nodes);
            if (lanes == 4)
                aq_bytes_append(&nodes, "\7\1\0\1\0\x80\x20", 7); /* token 0: 4096 of 4096 */
            else
                aq_bytes_append(&nodes, "\x08\1\0\1\0\2\xff\7\1", 9); /* tokens 0 and 1: 1023, 1 */
            for (unsigned lane = 0; lane < lanes; lane++)
                aq_bytes_u32(&nodes, 65536);
            aq_bytes_varint(&nodes, huge == 0 ? 0 : UINT64_MAX);
            if (lanes == 4)
                aq_bytes_varint(&nodes, 0);
            enum aq_status status = decode_nodes(AQ_TYPE_BIGINT, nodes.data, nodes.size);
            cr_assert_eq(status, lanes == 4 && huge == 0 ? AQ_OK : AQ_CORRUPT, "%u lanes", lanes);
        }
    aq_bytes_deinit(&nodes);
}

/* Planes of bytes that zstd has as one byte and a count: true, and one plane short of it. */
Test(bombs, planes)
{
    struct aq_bytes plane = zeros_packed(ROWS);
    struct aq_bytes shorter = zeros_packed(ROWS - 1);
    struct aq_bytes nodes = {0};
    limit_memory(24 * MIB);
    for (unsigned bad = 0; bad < 2; bad++) {
        aq_bytes_clear(&nodes);
        aq_bytes_append(&nodes, "\6\1\x08", 3);
        for (unsigned p = 0; p < 8; p++) {
            aq_bytes_u8(&nodes, 1);
            aq_bytes_slice(&nodes, aq_bytes_view(p == 7 && bad == 1 ? &shorter : &plane));
        }
        cr_assert_lt(nodes.size, 300);
        cr_assert_eq(decode_nodes(AQ_TYPE_BIGINT, nodes.data, nodes.size),
                     bad == 0 ? AQ_OK : AQ_CORRUPT);
    }
    aq_bytes_deinit(&plane);
    aq_bytes_deinit(&shorter);
    aq_bytes_deinit(&nodes);
}

/* A coded column of so many rows without nulls, and its nodes. */
static void append_column(struct aq_bytes *out, uint64_t row_count, const void *nodes, size_t size)
{
    aq_bytes_varint(out, row_count);
    if (row_count == 0)
        return;
    aq_bytes_u8(out, 0);
    aq_bytes_append(out, nodes, size);
}

struct made_column {
    uint64_t row_count;
    const char *nodes;
    size_t size;
};
#define COLUMN(rows, nodes)                \
    (struct made_column)                   \
    {                                      \
        (rows), (nodes), sizeof(nodes) - 1 \
    }

/* ROWS rows that follow a leader. */
static enum aq_status decode_follower(enum aq_type type, struct made_column leader,
                                      struct made_column exceptions, struct made_column values)
{
    struct aq_chunk_entry entries[2] = {{.type = AQ_TYPE_BIGINT},
                                        {.type = type, .leader = &entries[0]}};
    struct aq_bytes of_leader = {0}, rows = {0}, own = {0};
    struct aq_wanted all = {.end = ROWS};
    struct aq_arena arena = {0};
    struct aq_vector vector;
    append_column(&of_leader, leader.row_count, leader.nodes, leader.size);
    append_column(&rows, exceptions.row_count, exceptions.nodes, exceptions.size);
    aq_bytes_slice(&own, aq_bytes_view(&rows));
    append_column(&own, values.row_count, values.nodes, values.size);
    struct aq_chunk_coded coded = {.own = aq_bytes_view(&own), .leader = aq_bytes_view(&of_leader)};
    aq_vector_init(&vector, type);
    enum aq_status status =
        aq_chunk_decode_rows(&coded, &entries[1], ROWS, &all, NULL, &arena, &vector, NULL);
    cr_assert_eq(vector.row_count, status == AQ_OK ? ROWS : 0);
    aq_vector_deinit(&vector);
    aq_arena_deinit(&arena);
    aq_bytes_deinit(&of_leader);
    aq_bytes_deinit(&rows);
    aq_bytes_deinit(&own);
    return status;
}

/* A column that follows another has at most a value for each row, and another for each that is an exception. */
Test(bombs, followers)
{
    struct made_column same = COLUMN(ROWS, "\1\2"), ascending = COLUMN(ROWS, "\5\0\1\2");
    struct made_column none = COLUMN(0, ""), huge = COLUMN(INT64_MAX, "\1\2");
    struct made_column twice = COLUMN(2 * ROWS, "\1\2"), more = COLUMN(2 * ROWS + 1, "\1\2");
    limit_memory(24 * MIB);
    cr_assert_eq(decode_follower(AQ_TYPE_BIGINT, ascending, none, same), AQ_OK);
    cr_assert_eq(decode_follower(AQ_TYPE_BIGINT, ascending, ascending, twice), AQ_OK,
                 "all there is");
    cr_assert_eq(decode_follower(AQ_TYPE_BIGINT, same, ascending, twice), AQ_CORRUPT);
    cr_assert_eq(decode_follower(AQ_TYPE_BIGINT, ascending, ascending, more), AQ_CORRUPT);
    cr_assert_eq(decode_follower(AQ_TYPE_BIGINT, ascending, none, huge), AQ_CORRUPT);
    cr_assert_eq(decode_follower(AQ_TYPE_BIGINT, ascending, huge, same), AQ_CORRUPT);
    cr_assert_eq(decode_follower(AQ_TYPE_BIGINT, ascending, huge, huge), AQ_CORRUPT);
    cr_assert_eq(decode_follower(AQ_TYPE_BIGINT, huge, none, same), AQ_CORRUPT);
    cr_assert_eq(decode_follower(AQ_TYPE_BIGINT, ascending, same, twice), AQ_CORRUPT, "one row");
    cr_assert_eq(decode_follower(AQ_TYPE_TEXT, ascending, none,
                                 COLUMN(ROWS, "\x20\1\x80\x80\x80\x80\4\1\3abc")),
                 AQ_CORRUPT, "texts that are not there");
}

/* A list that is there, and too large for the machine: 128 MiB. */
Test(bombs, a_follower_s_texts)
{
    struct aq_bytes packed = zeros_packed(128 * MIB);
    struct aq_bytes nodes = {0};
    append_texts(&nodes, 128 * MIB / 2, packed.data, packed.size);
    struct made_column values = {2, (const char *)nodes.data, nodes.size};
    struct made_column leader = COLUMN(ROWS, "\3\2\5\0\1\2\2\2\5\xfe\xff\3\1\0\5\0\1\2");
    enum aq_status status = decode_follower(AQ_TYPE_TEXT, leader, COLUMN(0, ""), values);
    cr_assert_eq(status, AQ_OK, "%d", status);
    if (limit_memory(24 * MIB))
        cr_assert_eq(decode_follower(AQ_TYPE_TEXT, leader, COLUMN(0, ""), values), AQ_NO_MEMORY);
    aq_bytes_deinit(&packed);
    aq_bytes_deinit(&nodes);
}
