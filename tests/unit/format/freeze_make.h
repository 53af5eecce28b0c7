/* Making golden files of version 1: for what has none yet. A file that is there is never written again. */
#ifndef AQ_TESTS_UNIT_FREEZE_MAKE_H
#define AQ_TESTS_UNIT_FREEZE_MAKE_H

#include "format/base/checksum.h"
#include "format/base/preamble.h"
#include "format/catalog/catalog_edit.h"
#include "format/encode/encode.h"
#include "format/encode/node.h"
#include "tests/unit/format/sample_frame.h"

#define FREEZE_ROWS 1030

static inline uint64_t freeze_next(void)
{
    static uint64_t state = 1;
    state = state * UINT64_C(6364136223846793005) + 1442695040888963407;
    return state >> 33;
}

/** Whatever a type can hold: ends of its range, NaNs with payloads, -0.0, empty and long strings, nulls. */
static inline void freeze_fill(struct aq_vector *vector, struct aq_arena *arena)
{
    static const uint64_t odd_bits[] = {UINT64_C(0x7ff8000000000000), UINT64_C(0xfff0000000000001),
                                        UINT64_C(0x7ff0000000000000), UINT64_C(0x8000000000000000),
                                        UINT64_C(0x0000000000000001), UINT64_C(0x7fefffffffffffff)};
    for (size_t i = 0; i < FREEZE_ROWS; i++) {
        uint64_t random = freeze_next();
        bool wide = vector->type == AQ_TYPE_BIGINT || vector->type == AQ_TYPE_TIMESTAMPTZ;
        enum aq_status status;
        if (i % 7 == 3) {
            status = aq_vector_append_null(vector);
        } else if (aq_type_physical(vector->type) == AQ_PHYSICAL_SLICE) {
            size_t size = i == 5 ? 300 : random % 9;
            char *text = aq_arena_alloc(arena, size + 1);
            memset(text, (int)('a' + random % 20), size);
            status = aq_vector_append_slice(vector, aq_slice_make(text, size));
        } else if (vector->type == AQ_TYPE_DOUBLE && i % 100 < 6) {
            double value;
            memcpy(&value, &odd_bits[i % 100], sizeof value);
            status = aq_vector_append_double(vector, value);
        } else if (aq_type_physical(vector->type) == AQ_PHYSICAL_DOUBLE) {
            status = aq_vector_append_double(vector, (double)((int64_t)(random % 4000) - 2000) / 8);
        } else if (vector->type == AQ_TYPE_BOOLEAN) {
            status = aq_vector_append_int(vector, (int64_t)(random & 1));
        } else {
            int64_t edges[] = {wide ? INT64_MIN : INT32_MIN, wide ? INT64_MAX : INT32_MAX, 0, -1};
            status =
                aq_vector_append_int(vector, i < 4 ? edges[i] : (int64_t)(random % 100000) - 50000);
        }
        cr_assert_eq(status, AQ_OK);
    }
}

/* Quiet and restless stretches in turn, so that contexts differ; words of all widths up to 31 bits. */
static inline int64_t freeze_restless(size_t i)
{
    if (i / 40 % 2 == 0)
        return (int64_t)(freeze_next() % 4 / 3);
    return (int64_t)(freeze_next() % 600) - 300 + (i % 37 == 0 ? INT64_C(1) << (i % 31) : 0);
}

static inline int64_t freeze_int(enum aq_encoding encoding, size_t i)
{
    switch (encoding) {
    case AQ_ENCODING_RUN:
        return (int64_t)(i / 100) * 1000000007;
    case AQ_ENCODING_DELTA:
        return (int64_t)i * 3600000000 + (int64_t)(i % 3);
    case AQ_ENCODING_MULTIPLE:
        return ((int64_t)(freeze_next() % 3000) - 1000) * 60000000 + 7000000;
    case AQ_ENCODING_ANS32:
        return freeze_restless(i);
    case AQ_ENCODING_DICT:
        return (int64_t)(freeze_next() % 5) << 55;
    default:
        return (int64_t)(freeze_next() % 3000) - 1000;
    }
}

/** A coded column whose topmost node has this encoding. */
static inline void freeze_encode(enum aq_encoding encoding, struct aq_bytes *out)
{
    struct aq_encode_options options = {.profile = AQ_PROFILE_ARCHIVE};
    struct aq_encoder encoder = {.options = &options};
    int64_t values[FREEZE_ROWS];
    double doubles[FREEZE_ROWS];
    struct aq_slice slices[FREEZE_ROWS];
    static const char *const words[] = {"north", "", "south-west", "calm"};
    for (size_t i = 0; i < FREEZE_ROWS; i++) {
        values[i] = freeze_int(encoding, i);
        uint64_t bits = freeze_next() << 30 ^ freeze_next();
        doubles[i] = i % 90 == 1 ? -0.0 : (double)((int64_t)(freeze_next() % 9000) - 10) / 20;
        if (encoding == AQ_ENCODING_BITS)
            memcpy(&doubles[i], &bits, sizeof bits);
        slices[i] = aq_slice_of(words[freeze_next() % 4]);
    }
    aq_bytes_varint(out, FREEZE_ROWS);
    aq_bytes_u8(out, 0);
    enum aq_status status = AQ_OK;
    switch (encoding) {
    case AQ_ENCODING_CONSTANT:
        aq_constant_encode(INT64_MIN, out);
        break;
    case AQ_ENCODING_RUN:
        status = aq_run_encode(&encoder, values, FREEZE_ROWS, 0, out);
        break;
    case AQ_ENCODING_DICT:
        status = aq_dict_encode(&encoder, values, FREEZE_ROWS, 100, AQ_ENTRIES_AS_MET, 0, out);
        break;
    case AQ_ENCODING_BITPACK:
        aq_bitpack_encode(values, FREEZE_ROWS, out);
        break;
    case AQ_ENCODING_DELTA:
        status = aq_delta_encode(&encoder, values, FREEZE_ROWS, 0, out);
        break;
    case AQ_ENCODING_BYTEPLANE:
        status = aq_byteplane_encode(&encoder, values, FREEZE_ROWS, out);
        break;
    case AQ_ENCODING_ANS:
        status = aq_ans_encode(&encoder, values, FREEZE_ROWS, SIZE_MAX, out);
        break;
    case AQ_ENCODING_ANS32:
        status = aq_ans32_encode(&encoder, values, FREEZE_ROWS, SIZE_MAX, out);
        break;
    case AQ_ENCODING_REPEAT:
        for (size_t i = 0; i < 150; i++)
            values[300 + i] = values[100 + i];
        for (size_t i = 0; i < 250; i++)
            values[700 + i] = values[50 + i];
        status = aq_repeat_encode(&encoder, values, FREEZE_ROWS, 0, out);
        break;
    case AQ_ENCODING_MULTIPLE:
        status = aq_multiple_encode(&encoder, values, FREEZE_ROWS, 60000000, 0, out);
        break;
    case AQ_ENCODING_DECIMAL:
        status = aq_decimal_encode(&encoder, doubles, FREEZE_ROWS, FREEZE_ROWS, out);
        break;
    case AQ_ENCODING_BITS:
        status = aq_bits_encode(&encoder, doubles, FREEZE_ROWS, out);
        break;
    case AQ_ENCODING_TEXT:
        status = aq_text_encode(&encoder, slices, FREEZE_ROWS, 0, out);
        break;
    case AQ_ENCODING_TEXT_DICT:
        status = aq_text_dict_encode(&encoder, slices, FREEZE_ROWS, 100, out);
        break;
    }
    cr_assert_eq(status, AQ_OK);
    aq_encoder_deinit(&encoder);
}

/** A record with each of its members set to something of its own. */
static inline struct aq_record freeze_record(enum aq_record_kind kind)
{
    static struct aq_file_entry entries[] = {{1, 1, 3, true, SAMPLE_T0, SAMPLE_T0 + 7},
                                             {2, 7, 0, false, 0, 0}};
    static struct aq_slice keys[2];
    keys[0] = aq_slice_of("hanoi");
    keys[1] = aq_slice_of("");
    struct aq_record record = {.kind = kind};
    switch (kind) {
    case AQ_RECORD_STORE:
        record.store.id = (struct aq_store_id){{1, 2, 3}};
        record.store.incarnation = 300;
        break;
    case AQ_RECORD_DATASET:
        record.dataset = sample_air;
        break;
    case AQ_RECORD_VIEW:
        record.view.name = aq_slice_of("v");
        record.view.sql = aq_slice_of("SELECT 1");
        break;
    case AQ_RECORD_OPEN:
        record.open.file_id = 4;
        record.open.epoch = UINT64_MAX;
        break;
    case AQ_RECORD_CLOSE:
        return (struct aq_record){
            .kind = kind, .close = {4, 17, 4096, 4288, UINT64_C(0x1122334455667788), 2, entries}};
    case AQ_RECORD_ARCHIVE:
        return (struct aq_record){
            .kind = kind, .archive = {5, 999, {1, 2, 3}, entries[0], aq_slice_of("root bytes")}};
    case AQ_RECORD_REMOVE:
        record.remove.file_id = 300;
        break;
    case AQ_RECORD_FEED:
        return (struct aq_record){.kind = kind,
                                  .feed = {6, 1, aq_slice_of("import"), aq_slice_of("a.csv"),
                                           aq_slice_of("k"), -1, 2, -5}};
    case AQ_RECORD_POSITION:
        return (struct aq_record){.kind = kind,
                                  .position = {6, 1000, 123456, {{9, 8, 7}}, -77, 990, 7, 3, true}};
    case AQ_RECORD_CLAIM:
        return (struct aq_record){.kind = kind, .claim = {6, 1000, 12, 4}};
    case AQ_RECORD_MASK:
        return (struct aq_record){.kind = kind, .mask = {4, 6, 500}};
    case AQ_RECORD_TOMBSTONE:
        return (struct aq_record){.kind = kind,
                                  .tombstone = {1, 2, keys, INT64_MIN, INT64_MAX, 41}};
    case AQ_RECORD_COUNTERS:
        return (struct aq_record){.kind = kind, .counters = {7, 8, 13, 3}};
    case AQ_RECORD_LOST:
        return (struct aq_record){.kind = kind, .lost = {6, 1000, 1010}};
    case AQ_RECORD_PLACE:
        return (struct aq_record){.kind = kind,
                                  .place = {4, aq_slice_of("data/ab-01.aqa"), {{3, 1, 4}}}};
    case AQ_RECORD_EVICT:
        record.evict.file_id = 4;
        break;
    case AQ_RECORD_COMPLETE:
        record.complete.dataset_id = 1;
        record.complete.until_us = -12345;
        break;
    case AQ_RECORD_SINCE:
        record.since.file_id = 4;
        record.since.edit = 1000;
        break;
    case AQ_RECORD_HOLD:
        record.hold.file_id = 4;
        break;
    }
    return record;
}

static inline void freeze_edit(const struct aq_record *record, struct aq_bytes *out)
{
    struct aq_edit_header header = {.number = 42,
                                    .previous_checksum = UINT64_C(0x0123456789abcdef),
                                    .nonce = {0xa0, 0xa1},
                                    .checkpoint = record->kind == AQ_RECORD_COUNTERS ||
                                                  record->kind == AQ_RECORD_COMPLETE ||
                                                  record->kind == AQ_RECORD_SINCE,
                                    .time_us = SAMPLE_T0};
    uint64_t checksum;
    cr_assert_eq(aq_edit_encode(&header, record, 1, out, &checksum, NULL), AQ_OK);
}

#endif
