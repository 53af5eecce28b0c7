/* Byte buffer, bounded reader, arena, hashes, errors: the ground that every format stands on. */
#include <criterion/criterion.h>
#include <errno.h>
#include <malloc.h>
#include <string.h>

#include "format/base/arena.h"
#include "format/base/checksum.h"

Test(bytes, varints_round_trip_at_their_borders)
{
    const uint64_t values[] = {
        0, 1, 127, 128, 16383, 16384, UINT32_MAX, UINT64_MAX, UINT64_MAX - 1, UINT64_C(1) << 63};
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        struct aq_bytes bytes = {0};
        aq_bytes_varint(&bytes, values[i]);
        aq_bytes_varint_signed(&bytes, (int64_t)values[i]);
        cr_assert_eq(aq_bytes_status(&bytes), AQ_OK);
        struct aq_reader reader = aq_reader_make(aq_bytes_view(&bytes));
        cr_assert_eq(aq_reader_varint(&reader), values[i]);
        cr_assert_eq(aq_reader_varint_signed(&reader), (int64_t)values[i]);
        cr_assert_eq(aq_reader_finish(&reader, "varints", NULL), AQ_OK);
        aq_bytes_deinit(&bytes);
    }
}

Test(bytes, overlong_overflowing_and_cut_varints_are_refused)
{
    static const uint8_t overlong[] = {0x80, 0x00};
    static const uint8_t too_big[] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02};
    static const uint8_t cut[] = {0xff, 0xff};
    struct aq_slice bad[] = {aq_slice_make(overlong, sizeof overlong),
                             aq_slice_make(too_big, sizeof too_big),
                             aq_slice_make(cut, sizeof cut)};
    for (size_t i = 0; i < 3; i++) {
        struct aq_reader reader = aq_reader_make(bad[i]);
        struct aq_error err = {0};
        aq_reader_varint(&reader);
        cr_assert_eq(aq_reader_status(&reader, "varint", &err), AQ_CORRUPT, "case %zu", i);
        cr_assert_eq(err.offset, (int64_t)reader.fail_offset);
    }
}

Test(bytes, reads_past_the_end_stick_and_give_zeros)
{
    static const uint8_t data[] = {1, 2, 3};
    struct aq_reader reader = aq_reader_make(aq_slice_make(data, sizeof data));
    cr_assert_eq(aq_reader_u16(&reader), 0x0201);
    cr_assert_eq(aq_reader_u32(&reader), 0);
    cr_assert(reader.failed);
    cr_assert_eq(aq_reader_u8(&reader), 0, "the last byte must not be handed out after a failure");
    struct aq_error err = {0};
    cr_assert_eq(aq_reader_status(&reader, "thing", &err), AQ_CORRUPT);
    cr_assert_eq(err.offset, 2);
    cr_assert(strstr(err.message, "thing") != NULL);
}

Test(bytes, a_count_beyond_what_is_left_is_refused_before_use)
{
    static const uint8_t data[] = {0xff, 0xff, 0xff, 0xff, 0x0f, 0, 0};
    struct aq_reader reader = aq_reader_make(aq_slice_make(data, sizeof data));
    cr_assert_eq(aq_reader_count(&reader), 0);
    cr_assert(reader.failed);
}

Test(bytes, bytes_that_do_not_belong_are_reported)
{
    static const uint8_t data[] = {5, 6};
    struct aq_reader reader = aq_reader_make(aq_slice_make(data, sizeof data));
    cr_assert_eq(aq_reader_u8(&reader), 5);
    struct aq_error err = {0};
    cr_assert_eq(aq_reader_finish(&reader, "record", &err), AQ_CORRUPT);
    cr_assert_eq(err.offset, 1);
}

Test(bytes, slices_order_like_memcmp_with_prefixes_first)
{
    cr_assert_lt(aq_slice_compare(aq_slice_of("ab"), aq_slice_of("abc")), 0);
    cr_assert_gt(aq_slice_compare(aq_slice_of("b"), aq_slice_of("abc")), 0);
    cr_assert_eq(aq_slice_compare(aq_slice_of(""), (struct aq_slice){0}), 0);
    cr_assert_lt(aq_slice_compare(aq_slice_of("z"), aq_slice_of("\xc3\xa4")), 0);
}

Test(arena, rewinding_keeps_what_was_before_and_the_memory_of_what_came_after)
{
    struct aq_arena arena = {0};
    char *kept = aq_arena_string(&arena, "kept");
    struct aq_arena_mark mark = aq_arena_mark(&arena);
    size_t used_before = arena.used_bytes;
    uint8_t *large[3];
    for (size_t i = 0; i < 3; i++)
        large[i] = aq_arena_alloc(&arena, 100000 << i);
    aq_arena_rewind(&arena, mark);
    cr_assert_eq(arena.used_bytes, used_before);
    struct aq_arena_mark empty = aq_arena_mark(&(struct aq_arena){0});
    for (size_t round = 0; round < 3; round++) {
        uint8_t *again = aq_arena_alloc(&arena, 400000);
        cr_assert_eq(again, large[2], "memory that was there is used again");
        memset(again, (int)round, 400000);
        if (round < 2)
            aq_arena_rewind(&arena, mark);
    }
    cr_assert_str_eq(kept, "kept");
    aq_arena_rewind(&arena, empty);
    cr_assert_eq(arena.used_bytes, 0);
    cr_assert_not_null(aq_arena_alloc(&arena, 1));
    struct aq_arena other = {0};
    aq_arena_absorb(&other, &arena);
    aq_arena_deinit(&arena);
    aq_arena_deinit(&other);
}

Test(arena, allocations_are_aligned_distinct_and_survive_growth)
{
    struct aq_arena arena;
    aq_arena_init(&arena);
    char *first = aq_arena_string(&arena, "first");
    for (size_t i = 0; i < 2000; i++) {
        uint8_t *at = aq_arena_alloc(&arena, i % 700);
        cr_assert_not_null(at);
        cr_assert_eq((uintptr_t)at % 16, 0);
        memset(at, 0xee, i % 700);
    }
    cr_assert_str_eq(first, "first");
    struct aq_arena other;
    aq_arena_init(&other);
    aq_arena_absorb(&other, &arena);
    cr_assert_null(arena.head);
    cr_assert_str_eq(first, "first");
    cr_assert_str_eq(aq_arena_format(&other, "%d-%s", 7, "x"), "7-x");
    aq_arena_deinit(&other);
}

/* A query holds one for each unit of a store that many small frames make. */
Test(arena, ten_thousand_small_ones_take_little)
{
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    cr_skip("the allocator of sanitizers does not count");
#endif
    enum { COUNT = 10000 };
    struct aq_arena *arenas = calloc(COUNT, sizeof *arenas);
    struct mallinfo2 before = mallinfo2();
    for (size_t i = 0; i < COUNT; i++)
        cr_assert_not_null(aq_arena_alloc(&arenas[i], 100));
    struct mallinfo2 after = mallinfo2();
    cr_assert_lt(after.uordblks + after.hblkhd - before.uordblks - before.hblkhd, COUNT * 1024);
    for (size_t i = 0; i < COUNT; i++)
        aq_arena_deinit(&arenas[i]);
    free(arenas);
}

Test(checksum, a_digest_may_be_taken_midway)
{
    struct aq_hasher *hasher = aq_hasher_create();
    aq_hasher_update(hasher, "hello ", 6);
    struct aq_hash128 midway = aq_hasher_digest(hasher);
    aq_hasher_update(hasher, "world", 5);
    struct aq_hash128 whole = aq_hasher_digest(hasher);
    aq_hasher_reset(hasher);
    aq_hasher_update(hasher, "hello world", 11);
    struct aq_hash128 again = aq_hasher_digest(hasher);
    cr_assert(aq_hash128_equal(&whole, &again));
    cr_assert_not(aq_hash128_equal(&midway, &whole));
    aq_hasher_destroy(hasher);
}

Test(status, errors_say_where_and_why)
{
    struct aq_error err = {0};
    char text[512];
    enum aq_status status = aq_error_set_at(&err, AQ_CORRUPT, NULL, 12, "bad %s", "frame");
    cr_assert_eq(aq_error_locate(&err, status, "segments/1.seg", 100), AQ_CORRUPT);
    aq_error_format(&err, text, sizeof text);
    cr_assert_str_eq(text, "segments/1.seg: offset 112: bad frame");
    cr_assert_eq(aq_error_locate(&err, status, "other", 5), AQ_CORRUPT);
    cr_assert_str_eq(err.path, "segments/1.seg", "the innermost path stays");
    cr_assert_eq(aq_error_set_errno(&err, ENOSPC, "f", "write"), AQ_DISK_FULL);
    aq_error_format(&err, text, sizeof text);
    cr_assert_str_eq(text, "f: write: No space left on device");
    cr_assert_eq(aq_status_exit_code(AQ_CORRUPT), 3);
    cr_assert_eq(aq_status_exit_code(AQ_TEMPORARY), 75);
}

Test(status, a_tasks_error_is_taken_over)
{
    struct aq_error task = {0};
    struct aq_error err = {0};
    char text[512];
    cr_assert_eq(aq_error_take(&err, AQ_OK, &task, "cannot read"), AQ_OK);
    cr_assert_eq(err.status, AQ_OK, "nothing is filled in");
    cr_assert_eq(aq_error_take(&err, AQ_NO_MEMORY, &task, "cannot read"), AQ_NO_MEMORY);
    snprintf(text, sizeof text, "cannot read: %s", aq_status_text(AQ_NO_MEMORY));
    cr_assert_str_eq(err.message, text);
    aq_error_set_at(&task, AQ_CORRUPT, "1.seg", 12, "bad frame");
    cr_assert_eq(aq_error_take(&err, AQ_CORRUPT, &task, "cannot read"), AQ_CORRUPT);
    aq_error_format(&err, text, sizeof text);
    cr_assert_str_eq(text, "1.seg: offset 12: bad frame");
    cr_assert_eq(aq_error_take(NULL, AQ_CORRUPT, &task, "cannot read"), AQ_CORRUPT);
}
