/* Catalogs made edit by edit, without a store: dataset 1 with key and time, dataset 2 with neither. */
#ifndef AQ_TESTS_UNIT_HISTORY_FIXTURE_H
#define AQ_TESTS_UNIT_HISTORY_FIXTURE_H

#include "engine/store/catalog/catalog_state.h"
#include "engine/store/store.h"

#include <criterion/criterion.h>

#define DAY AQ_US_PER_DAY

static struct aq_column columns[] = {
    {.name = "city", .type = AQ_TYPE_TEXT, .id = 1, .required = true},
    {.name = "ts", .type = AQ_TYPE_TIMESTAMPTZ, .id = 2, .required = true},
};
#define NAMED(text)                               \
    {                                             \
        (const uint8_t *)(text), sizeof(text) - 1 \
    }

struct history {
    const struct aq_catalog *catalog;
    int64_t time_us; /* of the next edits */
};

static inline void edit(struct history *history, const struct aq_record *records,
                        size_t record_count)
{
    struct aq_catalog_state state;
    struct aq_error err = {0};
    const struct aq_catalog *old = history->catalog;
    struct aq_edit_header header = {.number = old == NULL ? 1 : old->number + 1,
                                    .previous_checksum = old == NULL ? 0 : old->checksum,
                                    .time_us = history->time_us};
    cr_assert_eq(aq_catalog_state_begin(&state, old), AQ_OK);
    cr_assert_eq(aq_catalog_state_apply(&state, &header, records, record_count, 7, &err), AQ_OK,
                 "%s", err.message);
    history->catalog = aq_catalog_state_finish(&state);
    if (old != NULL)
        aq_catalog_release(old);
}

static inline struct history begin(void)
{
    struct history history = {0};
    struct aq_schema air = {.dataset_id = 1,
                            .version = 1,
                            .dataset = "air",
                            .column_count = 2,
                            .columns = columns,
                            .key_column = 0,
                            .time_column = 1,
                            .slot = AQ_SLOT_DAY,
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
static inline void add_archive(struct history *history, uint64_t file_id, int64_t first,
                               int64_t last)
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

static inline void remove_file(struct history *history, uint64_t file_id)
{
    edit(history, &(struct aq_record){.kind = AQ_RECORD_REMOVE, .remove = {.file_id = file_id}}, 1);
}

#endif
