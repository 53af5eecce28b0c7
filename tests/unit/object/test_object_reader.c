/* Reading objects in blocks: how many requests, what is held, what the disk has, what went wrong. */
#include "engine/cache/object_reader.h"
#include "tests/unit/object/bucket_fixture.h"

#define BLOCK ((uint64_t)AQ_CACHE_BLOCK_BYTES)

static struct counting_bucket *bucket;
static struct aq_remote_object big = {
    .name = "data/big", .hash = {{1}}, .size_bytes = 40 * BLOCK + 777};
static struct aq_remote_object other = {
    .name = "data/other", .hash = {{2}}, .size_bytes = 2 * BLOCK};

static uint8_t byte_at(const struct aq_remote_object *object, uint64_t offset)
{
    uint64_t mixed = (offset + 1) * UINT64_C(0x9e3779b97f4a7c15) + object->hash.bytes[0];
    return (uint8_t)(mixed >> 56);
}

static void put_object(const struct aq_remote_object *object)
{
    uint8_t *data = malloc(object->size_bytes);
    for (uint64_t i = 0; i < object->size_bytes; i++)
        data[i] = byte_at(object, i);
    cr_assert_eq(aq_object_put(bucket->below, object->name,
                               aq_slice_make(data, (size_t)object->size_bytes), NULL),
                 AQ_OK);
    free(data);
}

static void begin(void)
{
    scratch_make();
    bucket = bucket_open("bucket");
    put_object(&big);
    put_object(&other);
}

static struct aq_object_reader *open_reader(struct aq_block_cache *cache)
{
    struct aq_object_reader *reader = NULL;
    cr_assert_eq(aq_object_reader_create(&bucket->base, cache, &reader, NULL), AQ_OK);
    return reader;
}

static void expect(struct aq_object_reader *reader, const struct aq_remote_object *object,
                   uint64_t offset, uint64_t size)
{
    struct aq_object_span span = {object, offset, size};
    struct aq_error err = {0};
    uint8_t *bytes = malloc(size);
    cr_assert_eq(aq_object_reader_read(reader, &span, bytes, &err), AQ_OK, "%s", err.message);
    for (uint64_t i = 0; i < size; i++)
        cr_assert_eq(bytes[i], byte_at(object, offset + i));
    free(bytes);
}

static void fetch(struct aq_object_reader *reader, const struct aq_object_span *spans, size_t count)
{
    struct aq_error err = {0};
    cr_assert_eq(aq_object_reader_fetch(reader, spans, count, &err), AQ_OK, "%s", err.message);
}

Test(object_reader, neighbours_are_one_request, .init = begin)
{
    struct aq_object_reader *reader = open_reader(NULL);
    struct aq_object_span spans[] = {
        {&big, 9 * BLOCK + 5, 10},      /* out of order, and near to */
        {&big, 3 * BLOCK - 1, 2},       /* these, which lie on a border, */
        {&big, 3 * BLOCK + 100, BLOCK}, /* and overlap */
        {&big, 20 * BLOCK, 1},          /* more than 1 MiB away */
        {&big, 40 * BLOCK + 776, 1},    /* the last byte */
        {&other, 0, 2 * BLOCK},
    };
    fetch(reader, spans, 6);
    cr_assert_eq(bucket->range_count, 4);
    cr_assert_eq(aq_object_reader_count(reader).get_count, 4);
    cr_assert_eq(aq_object_reader_count(reader).bytes_received, bucket->range_bytes);
    for (size_t i = 0; i < 6; i++)
        expect(reader, spans[i].object, spans[i].offset, spans[i].size_bytes);
    fetch(reader, spans, 6);
    cr_assert_eq(bucket->range_count, 4);
    aq_object_reader_destroy(reader);
}

Test(object_reader, requests_end_at_16_mib, .init = begin)
{
    struct aq_remote_object huge = {.name = "data/huge", .hash = {{3}}, .size_bytes = 150 * BLOCK};
    put_object(&huge);
    struct aq_object_reader *reader = open_reader(NULL);
    struct aq_object_span span = {&huge, 0, huge.size_bytes};
    fetch(reader, &span, 1);
    cr_assert_eq(bucket->range_count, 3);
    cr_assert_eq(bucket->largest, AQ_FETCH_REQUEST_BYTES);
    expect(reader, &huge, 63 * BLOCK - 3, 2 * BLOCK);
    cr_assert_eq(bucket->range_count, 3);
    aq_object_reader_destroy(reader);
}

Test(object_reader, reads_without_fetching_before, .init = begin)
{
    struct aq_object_reader *reader = open_reader(NULL);
    expect(reader, &big, 0, big.size_bytes);
    cr_assert_eq(bucket->range_count, 1);
    expect(reader, &big, 10 * BLOCK + 3, 4 * BLOCK);
    cr_assert_eq(bucket->range_count, 1);
    aq_object_reader_destroy(reader);
}

Test(object_reader, second_reader_is_served_from_the_disk, .init = begin)
{
    struct aq_block_cache *cache = NULL;
    cr_assert_eq(aq_block_cache_open(scratch_file("cache"), 64 << 20, &cache, NULL), AQ_OK);
    struct aq_object_reader *reader = open_reader(cache);
    expect(reader, &big, 100, 5 * BLOCK);
    aq_object_reader_destroy(reader);
    bucket_reset(bucket);
    reader = open_reader(cache);
    struct aq_object_span span = {&big, 100, 5 * BLOCK};
    fetch(reader, &span, 1);
    expect(reader, &big, 100, 5 * BLOCK);
    cr_assert_eq(bucket->range_count, 0);
    cr_assert_eq(aq_object_reader_count(reader).cache_hit_bytes, 6 * BLOCK);
    /* What is missing in the middle is asked for, and only that. */
    aq_block_cache_drop(cache, &big.hash, 2);
    aq_object_reader_destroy(reader);
    reader = open_reader(cache);
    expect(reader, &big, 100, 5 * BLOCK);
    cr_assert_eq(bucket->range_count, 1);
    cr_assert_eq(bucket->range_bytes, BLOCK);
    aq_object_reader_destroy(reader);
    aq_block_cache_close(cache);
}

Test(object_reader, memory_is_bounded, .init = begin)
{
    struct aq_remote_object huge = {.name = "data/huge", .hash = {{3}}};
    huge.size_bytes = AQ_FETCH_HELD_BYTES + 20 * BLOCK;
    char path[600];
    snprintf(path, sizeof path, "%s", scratch_file("bucket/data/huge"));
    int fd = open(path, O_WRONLY | O_CREAT, 0600); /* a hole: only its size counts here */
    cr_assert_eq(ftruncate(fd, (off_t)huge.size_bytes), 0);
    close(fd);
    struct aq_object_reader *reader = open_reader(NULL);
    struct aq_object_span span = {&huge, 0, huge.size_bytes};
    fetch(reader, &span, 1);
    cr_assert_leq(bucket->range_bytes, AQ_FETCH_HELD_BYTES);
    struct aq_object_span end = {&huge, huge.size_bytes - 10, 10};
    uint8_t bytes[10];
    cr_assert_eq(aq_object_reader_read(reader, &end, bytes, NULL), AQ_OK);
    /* What was held longest made room. */
    bucket_reset(bucket);
    struct aq_object_span first = {&huge, 0, 10};
    cr_assert_eq(aq_object_reader_read(reader, &first, bytes, NULL), AQ_OK);
    cr_assert_eq(bucket->range_count, 1);
    aq_object_reader_destroy(reader);
}

Test(object_reader, forgotten_spans_are_asked_for_again, .init = begin)
{
    struct aq_block_cache *cache = NULL;
    cr_assert_eq(aq_block_cache_open(scratch_file("cache"), 64 << 20, &cache, NULL), AQ_OK);
    struct aq_object_reader *reader = open_reader(cache);
    expect(reader, &big, 0, 3 * BLOCK);
    bucket_reset(bucket);
    struct aq_object_span span = {&big, BLOCK + 7, 100};
    aq_object_reader_forget(reader, &span);
    expect(reader, &big, 0, 3 * BLOCK);
    cr_assert_eq(bucket->range_count, 1);
    cr_assert_eq(bucket->range_bytes, BLOCK);
    aq_object_reader_destroy(reader);
    aq_block_cache_close(cache);
}

Test(object_reader, object_that_is_gone_is_temporary, .init = begin)
{
    struct aq_object_reader *reader = open_reader(NULL);
    cr_assert_eq(aq_object_delete(bucket->below, big.name, NULL), AQ_OK);
    struct aq_object_span span = {&big, 0, 10};
    struct aq_error err = {0};
    uint8_t bytes[10];
    cr_assert_eq(aq_object_reader_read(reader, &span, bytes, &err), AQ_TEMPORARY);
    cr_assert(strstr(err.path, "data/big") != NULL, "%s", err.path);
    cr_assert(strstr(err.message, "run it again") != NULL, "%s", err.message);
    aq_object_reader_destroy(reader);
}
