#include "engine/ingest/route.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

static struct aq_column columns[] = {
    {.name = "city", .type = AQ_TYPE_TEXT, .id = 1},
    {.name = "ts", .type = AQ_TYPE_TIMESTAMPTZ, .id = 2},
    {.name = "v", .type = AQ_TYPE_DOUBLE, .id = 3},
};

static struct aq_schema make_schema(uint32_t key, uint32_t time, enum aq_slot slot)
{
    return (struct aq_schema){.dataset_id = 1,
                              .version = 1,
                              .dataset = "d",
                              .column_count = 3,
                              .columns = columns,
                              .key_column = key,
                              .time_column = time,
                              .slot = slot,
                              .version_column = AQ_COLUMN_NONE};
}

/* A null v where `value` is negative. */
static void add(struct aq_batch *batch, const char *city, int64_t day, double value)
{
    struct aq_vector *to = batch->columns;
    cr_assert_eq(aq_vector_append_slice(&to[0], aq_slice_of(city)), AQ_OK);
    cr_assert_eq(aq_vector_append_int(&to[1], day * AQ_US_PER_DAY + 5), AQ_OK);
    cr_assert_eq(value < 0 ? aq_vector_append_null(&to[2]) : aq_vector_append_double(&to[2], value),
                 AQ_OK);
    for (int i = 0; i < AQ_SYSTEM_COLUMN_COUNT; i++)
        cr_assert_eq(aq_vector_append_int(&to[3 + i], (int64_t)batch->row_count), AQ_OK);
    batch->row_count++;
}

Test(route, rows_are_grouped_in_order_of_arrival)
{
    struct aq_schema schema = make_schema(0, 1, AQ_SLOT_DAY);
    struct aq_batch batch;
    struct aq_router *router;
    struct aq_section_input section;
    cr_assert_eq(aq_schema_batch_init(&schema, true, &batch), AQ_OK);
    cr_assert_eq(aq_router_create(&schema, &router, NULL), AQ_OK);
    add(&batch, "hue", 1, 0);
    add(&batch, "danang", 2, 1);
    add(&batch, "hue", 0, -1);
    add(&batch, "hue", 1, 3);
    add(&batch, "danang", -1, 4);
    add(&batch, "danang", 2, -1);
    cr_assert_eq(aq_route(router, &batch, &section, NULL), AQ_OK);
    static const struct {
        const char *key;
        int64_t day;
        uint32_t first;
        uint32_t count;
    } expected[] = {{"danang", -1, 0, 1}, {"danang", 2, 1, 2}, {"hue", 0, 3, 1}, {"hue", 1, 4, 2}};
    static const int64_t order[] = {4, 1, 5, 2, 0, 3};
    cr_assert_eq(section.partition_count, 4u);
    for (size_t i = 0; i < 4; i++) {
        const struct aq_partition *partition = &section.partitions[i];
        cr_assert(aq_slice_equal(partition->key, aq_slice_of(expected[i].key)));
        cr_assert_eq(partition->slot_start_us, expected[i].day * AQ_US_PER_DAY);
        cr_assert_eq(partition->row_first, expected[i].first);
        cr_assert_eq(partition->row_count, expected[i].count);
    }
    cr_assert_eq(section.rows->row_count, 6u);
    for (size_t i = 0; i < 6; i++) {
        size_t from = (size_t)order[i];
        cr_assert_eq(section.rows->columns[3].ints[i], order[i]);
        for (size_t c = 0; c < batch.column_count; c++)
            cr_assert_eq(
                aq_vector_compare_bits(&section.rows->columns[c], i, &batch.columns[c], from), 0);
    }
    aq_router_destroy(router);
    aq_batch_deinit(&batch);
}

Test(route, rows_in_order_are_not_moved)
{
    struct aq_schema schema = make_schema(0, 1, AQ_SLOT_DAY);
    struct aq_batch batch;
    struct aq_router *router;
    struct aq_section_input section;
    cr_assert_eq(aq_schema_batch_init(&schema, true, &batch), AQ_OK);
    cr_assert_eq(aq_router_create(&schema, &router, NULL), AQ_OK);
    for (int i = 0; i < 10; i++)
        add(&batch, i < 5 ? "a" : "b", i, i);
    cr_assert_eq(aq_route(router, &batch, &section, NULL), AQ_OK);
    cr_assert_eq(section.rows, &batch);
    cr_assert_eq(section.partition_count, 10u);
    aq_router_destroy(router);
    aq_batch_deinit(&batch);
}

Test(route, neither_key_nor_time_is_one_partition)
{
    struct aq_schema schema = make_schema(AQ_COLUMN_NONE, AQ_COLUMN_NONE, AQ_SLOT_NONE);
    struct aq_batch batch;
    struct aq_router *router;
    struct aq_section_input section;
    cr_assert_eq(aq_schema_batch_init(&schema, true, &batch), AQ_OK);
    cr_assert_eq(aq_router_create(&schema, &router, NULL), AQ_OK);
    for (int i = 0; i < 10; i++)
        add(&batch, i % 2 == 0 ? "a" : "b", i, i);
    cr_assert_eq(aq_route(router, &batch, &section, NULL), AQ_OK);
    cr_assert_eq(section.rows, &batch);
    cr_assert_eq(section.partition_count, 1u);
    cr_assert_eq(section.partitions[0].row_count, 10u);
    cr_assert_eq(section.partitions[0].key.size, 0u);
    aq_router_destroy(router);
    aq_batch_deinit(&batch);
}

/* Thousands of cities in one frame, twice: the router is used again and again. */
Test(route, many_partitions)
{
    struct aq_schema schema = make_schema(0, 1, AQ_SLOT_MONTH);
    struct aq_batch batch;
    struct aq_router *router;
    struct aq_section_input section;
    static char names[5000][16];
    cr_assert_eq(aq_schema_batch_init(&schema, true, &batch), AQ_OK);
    cr_assert_eq(aq_router_create(&schema, &router, NULL), AQ_OK);
    for (int round = 0; round < 2; round++) {
        aq_batch_clear(&batch);
        for (int i = 0; i < 15000; i++) {
            snprintf(names[i % 5000], sizeof names[0], "city %d", i % 5000);
            add(&batch, names[i % 5000], i % 3 * 31, i);
        }
        cr_assert_eq(aq_route(router, &batch, &section, NULL), AQ_OK);
        cr_assert_eq(section.partition_count, 15000u);
        for (size_t i = 1; i < section.partition_count; i++) {
            const struct aq_partition *a = &section.partitions[i - 1];
            const struct aq_partition *b = &section.partitions[i];
            int by_key = aq_slice_compare(a->key, b->key);
            cr_assert(by_key < 0 || (by_key == 0 && a->slot_start_us < b->slot_start_us));
            cr_assert_eq(b->row_first, a->row_first + a->row_count);
        }
    }
    aq_router_destroy(router);
    aq_batch_deinit(&batch);
}
