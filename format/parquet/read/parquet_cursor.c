/* A column of a row group, value by value.
 *
 * Happy path: a dictionary page is kept as it is, with a list of where its entries begin; of the present data page
 * only streams are kept: one of definition levels, one or two of what the encoding needs. A value is made
 * when it is asked for, and borrows its bytes from the page or the dictionary; only DELTA_BYTE_ARRAY puts it together.
 * Failures: whatever the streams lack, codes beyond the dictionary, pages with more values than the row
 * group has rows. Nothing is allocated by a length that the memory limit has not let pass. */
#include <assert.h>
#include <stdlib.h>

#include "format/parquet/read/parquet_page.h"

#define JULIAN_DAY_OF_1970 2440588
#define US_PER_DAY (INT64_C(86400) * 1000000)

struct aq_parquet_cursor {
    struct aq_parquet_pages pages;
    uint64_t row_left; /* not given yet */
    uint32_t page_left;
    uint32_t encoding;
    struct aq_parquet_buffer page;
    struct aq_parquet_hybrid levels;
    struct aq_reader plain;         /* PLAIN and what lies behind delta streams */
    struct aq_parquet_hybrid codes; /* dictionaries, and booleans as RLE */
    struct aq_parquet_delta
        numbers; /* DELTA_BINARY_PACKED; lengths, of what follows a prefix too */
    struct aq_parquet_delta prefixes;
    uint8_t bits; /* PLAIN booleans */
    unsigned bit_left;
    size_t split_count; /* BYTE_STREAM_SPLIT: values of the page, and the next one */
    size_t split_next;
    struct aq_slice split;
    uint8_t fixed[16];
    struct aq_bytes joined;
    bool has_dictionary;
    struct aq_parquet_buffer dictionary;
    struct aq_parquet_buffer entries; /* uint32_t: where each begins, of BYTE_ARRAY */
    uint32_t entry_count;
};

static size_t width_of(const struct aq_parquet_leaf *leaf)
{
    switch (leaf->physical) {
    case AQ_PARQUET_INT32:
    case AQ_PARQUET_FLOAT:
        return 4;
    case AQ_PARQUET_INT64:
    case AQ_PARQUET_DOUBLE:
        return 8;
    case AQ_PARQUET_INT96:
        return 12;
    case AQ_PARQUET_FIXED:
        return leaf->width;
    default:
        return 0;
    }
}

enum aq_status aq_parquet_cursor_open(const struct aq_parquet_input *input,
                                      const struct aq_parquet_leaf *leaf,
                                      const struct aq_parquet_chunk *chunk, uint64_t row_count,
                                      size_t *left, struct aq_parquet_cursor **cursor,
                                      struct aq_error *err)
{
    assert(!leaf->nested);
    *cursor = calloc(1, sizeof **cursor);
    if (*cursor == NULL)
        return aq_error_set(err, AQ_NO_MEMORY, "no memory to read a column");
    (*cursor)->row_left = row_count;
    (*cursor)->pages = (struct aq_parquet_pages){.input = input,
                                                 .leaf = leaf,
                                                 .codec = chunk->codec,
                                                 .offset = chunk->offset,
                                                 .end = chunk->offset + chunk->size_bytes,
                                                 .left = left};
    return AQ_OK;
}

void aq_parquet_cursor_close(struct aq_parquet_cursor *cursor)
{
    if (cursor == NULL)
        return;
    aq_parquet_buffer_free(&cursor->pages, &cursor->page);
    aq_parquet_buffer_free(&cursor->pages, &cursor->pages.stored);
    aq_parquet_buffer_free(&cursor->pages, &cursor->dictionary);
    aq_parquet_buffer_free(&cursor->pages, &cursor->entries);
    aq_bytes_deinit(&cursor->joined);
    free(cursor);
}

static enum aq_status corrupt(const struct aq_parquet_cursor *cursor, const char *why,
                              struct aq_error *err)
{
    return aq_parquet_page_corrupt(&cursor->pages, why, err);
}

/* Where each text of the dictionary begins. */
static enum aq_status index_entries(struct aq_parquet_cursor *cursor, size_t size,
                                    struct aq_error *err)
{
    struct aq_reader reader = aq_reader_make(aq_slice_make(cursor->dictionary.data, size));
    if (cursor->entry_count > size / sizeof(uint32_t))
        return corrupt(cursor, "a dictionary has fewer entries than it says", err);
    AQ_TRY(aq_parquet_buffer_need(&cursor->pages, &cursor->entries,
                                  cursor->entry_count * sizeof(uint32_t), err));
    for (uint32_t i = 0; i < cursor->entry_count; i++) {
        uint32_t begin = (uint32_t)reader.offset;
        memcpy(cursor->entries.data + i * sizeof begin, &begin, sizeof begin);
        aq_reader_skip(&reader, aq_reader_u32(&reader));
    }
    return reader.failed ? corrupt(cursor, "an entry of the dictionary is cut off", err) : AQ_OK;
}

static enum aq_status take_dictionary(struct aq_parquet_cursor *cursor,
                                      const struct aq_parquet_page_head *head, struct aq_error *err)
{
    size_t width = width_of(cursor->pages.leaf);
    struct aq_parquet_buffer page = cursor->page;
    if (cursor->has_dictionary || cursor->pages.leaf->physical == AQ_PARQUET_BOOLEAN ||
        (head->encoding != AQ_PARQUET_PLAIN && head->encoding != AQ_PARQUET_PLAIN_DICTIONARY))
        return corrupt(cursor, "a dictionary is not as it should be", err);
    cursor->page = cursor->dictionary;
    cursor->dictionary = page;
    cursor->has_dictionary = true;
    cursor->entry_count = head->value_count;
    if (width == 0)
        return index_entries(cursor, head->raw_bytes, err);
    return head->value_count > head->raw_bytes / width
               ? corrupt(cursor, "a dictionary has fewer entries than it says", err)
               : AQ_OK;
}

/* The levels of the page in `body`, which is cut behind them. */
static enum aq_status begin_levels(struct aq_parquet_cursor *cursor,
                                   const struct aq_parquet_page_head *head, struct aq_slice *body,
                                   struct aq_error *err)
{
    struct aq_reader reader = aq_reader_make(*body);
    size_t size = head->level_bytes;
    if (head->type == AQ_PARQUET_DATA_PAGE_V2)
        aq_reader_skip(&reader, head->repetition_bytes);
    else if (cursor->pages.leaf->optional)
        size = aq_reader_u32(&reader);
    if (cursor->pages.leaf->optional && head->level_encoding != AQ_PARQUET_RLE)
        return aq_error_set_at(err, AQ_UNSUPPORTED, NULL, (int64_t)cursor->pages.page_offset,
                               "definition levels in an encoding (%u) that was given up in 2014",
                               (unsigned)head->level_encoding);
    struct aq_slice levels = aq_reader_bytes(&reader, size);
    if (reader.failed)
        return corrupt(cursor, "definition levels are cut off", err);
    cursor->levels = (struct aq_parquet_hybrid){.bytes = aq_reader_make(levels), .bit_width = 1};
    *body = aq_slice_make(body->data + reader.offset, body->size - reader.offset);
    return AQ_OK;
}

static void begin_codes(struct aq_parquet_cursor *cursor, struct aq_slice body, bool is_boolean)
{
    cursor->codes = (struct aq_parquet_hybrid){.bytes = aq_reader_make(body)};
    if (is_boolean) {
        aq_reader_u32(&cursor->codes.bytes); /* its length: the rest of the page */
        cursor->codes.bit_width = 1;
        return;
    }
    /* A page of nulls alone may hold nothing. */
    cursor->codes.bit_width = body.size == 0 ? 0 : aq_reader_u8(&cursor->codes.bytes);
    if (cursor->codes.bit_width > 32)
        aq_reader_fail(&cursor->codes.bytes);
}

/* One or two delta streams of lengths, then the bytes. */
static void begin_lengths(struct aq_parquet_cursor *cursor, struct aq_slice body, bool has_prefixes)
{
    struct aq_reader reader = aq_reader_make(body);
    struct aq_parquet_delta *streams[2] = {&cursor->prefixes, &cursor->numbers};
    aq_bytes_clear(&cursor->joined);
    for (size_t i = has_prefixes ? 0 : 1; i < 2; i++) {
        *streams[i] = (struct aq_parquet_delta){.bytes = reader};
        aq_parquet_delta_begin(streams[i]);
        struct aq_parquet_delta passed = *streams[i];
        aq_parquet_delta_pass(&passed);
        reader = passed.bytes;
    }
    cursor->plain = reader;
}

static enum aq_status begin_split(struct aq_parquet_cursor *cursor, struct aq_slice body,
                                  struct aq_error *err)
{
    size_t width = width_of(cursor->pages.leaf);
    if (width == 0 || width > sizeof cursor->fixed)
        return corrupt(cursor, "BYTE_STREAM_SPLIT of a type that it is not for", err);
    cursor->split = body;
    cursor->split_count = body.size / width;
    cursor->split_next = 0;
    return AQ_OK;
}

static enum aq_status begin_values(struct aq_parquet_cursor *cursor, struct aq_slice body,
                                   struct aq_error *err)
{
    enum aq_parquet_type physical = cursor->pages.leaf->physical;
    bool texts = physical == AQ_PARQUET_BYTE_ARRAY;
    bool integers = physical == AQ_PARQUET_INT32 || physical == AQ_PARQUET_INT64;
    cursor->plain = aq_reader_make(body);
    cursor->bit_left = 0;
    switch (cursor->encoding) {
    case AQ_PARQUET_PLAIN:
        return AQ_OK;
    case AQ_PARQUET_PLAIN_DICTIONARY:
    case AQ_PARQUET_RLE_DICTIONARY:
        begin_codes(cursor, body, false);
        return cursor->has_dictionary ? AQ_OK : corrupt(cursor, "it lacks its dictionary", err);
    case AQ_PARQUET_RLE:
        begin_codes(cursor, body, true);
        return physical == AQ_PARQUET_BOOLEAN ? AQ_OK : corrupt(cursor, "RLE is for booleans", err);
    case AQ_PARQUET_DELTA_BINARY_PACKED:
        cursor->numbers = (struct aq_parquet_delta){.bytes = aq_reader_make(body)};
        aq_parquet_delta_begin(&cursor->numbers);
        return integers ? AQ_OK : corrupt(cursor, "DELTA_BINARY_PACKED is for integers", err);
    case AQ_PARQUET_DELTA_LENGTH_BYTE_ARRAY:
    case AQ_PARQUET_DELTA_BYTE_ARRAY:
        begin_lengths(cursor, body, cursor->encoding == AQ_PARQUET_DELTA_BYTE_ARRAY);
        if (texts ||
            (physical == AQ_PARQUET_FIXED && cursor->encoding == AQ_PARQUET_DELTA_BYTE_ARRAY))
            return AQ_OK;
        return corrupt(cursor, "a delta encoding of bytes for a type without", err);
    case AQ_PARQUET_BYTE_STREAM_SPLIT:
        return begin_split(cursor, body, err);
    default:
        return aq_error_set_at(
            err, AQ_UNSUPPORTED, NULL, (int64_t)cursor->pages.page_offset,
            "column '%.*s' has an unknown encoding (%u)", (int)cursor->pages.leaf->name.size,
            (const char *)cursor->pages.leaf->name.data, (unsigned)cursor->encoding);
    }
}

/* Load pages until one has a value. */
static enum aq_status next_page(struct aq_parquet_cursor *cursor, struct aq_error *err)
{
    struct aq_parquet_page_head head;
    while (cursor->page_left == 0) {
        enum aq_status status = aq_parquet_page_next(&cursor->pages, &head, &cursor->page, err);
        if (status == AQ_END)
            return corrupt(cursor, "it has fewer values than its row group has rows", err);
        AQ_TRY(status);
        if (head.type == AQ_PARQUET_DICTIONARY_PAGE) {
            AQ_TRY(take_dictionary(cursor, &head, err));
            continue;
        }
        if (head.type != AQ_PARQUET_DATA_PAGE && head.type != AQ_PARQUET_DATA_PAGE_V2)
            return corrupt(cursor, "a page is of an unknown type", err);
        if (head.value_count > cursor->row_left)
            return corrupt(cursor, "it has more values than its row group has rows", err);
        struct aq_slice body = aq_slice_make(cursor->page.data, head.raw_bytes);
        cursor->encoding = head.encoding;
        AQ_TRY(begin_levels(cursor, &head, &body, err));
        AQ_TRY(begin_values(cursor, body, err));
        cursor->page_left = head.value_count;
    }
    return AQ_OK;
}

static struct aq_slice dictionary_entry(struct aq_parquet_cursor *cursor)
{
    size_t width = width_of(cursor->pages.leaf);
    uint32_t code = aq_parquet_hybrid_next(&cursor->codes);
    uint32_t begin;
    if (code >= cursor->entry_count)
        aq_reader_fail(&cursor->codes.bytes);
    if (cursor->codes.bytes.failed)
        return (struct aq_slice){0};
    if (width > 0)
        return aq_slice_make(cursor->dictionary.data + code * width, width);
    memcpy(&begin, cursor->entries.data + code * sizeof begin, sizeof begin);
    const uint8_t *at = cursor->dictionary.data + begin;
    return aq_slice_make(at + sizeof(uint32_t), aq_load_u32(at));
}

/* A length of a delta stream, as far as bytes are left. */
static size_t next_length(struct aq_parquet_cursor *cursor, struct aq_parquet_delta *lengths,
                          size_t max)
{
    int64_t length = aq_parquet_delta_next(lengths);
    if (lengths->bytes.failed || length < 0 || (uint64_t)length > max) {
        aq_reader_fail(&cursor->plain);
        return 0;
    }
    return (size_t)length;
}

/* The beginning of the value before, then bytes of its own: never longer than the page. */
static struct aq_slice join_prefix(struct aq_parquet_cursor *cursor)
{
    size_t prefix = next_length(cursor, &cursor->prefixes, cursor->joined.size);
    size_t size = next_length(cursor, &cursor->numbers, aq_reader_left(&cursor->plain));
    struct aq_slice suffix = aq_reader_bytes(&cursor->plain, size);
    if (cursor->plain.failed)
        return (struct aq_slice){0};
    cursor->joined.size = prefix;
    aq_bytes_append(&cursor->joined, suffix.data, suffix.size);
    return aq_bytes_view(&cursor->joined);
}

static struct aq_slice join_split(struct aq_parquet_cursor *cursor)
{
    size_t width = width_of(cursor->pages.leaf);
    if (cursor->split_next >= cursor->split_count) {
        aq_reader_fail(&cursor->plain);
        return (struct aq_slice){0};
    }
    for (size_t i = 0; i < width; i++)
        cursor->fixed[i] = cursor->split.data[i * cursor->split_count + cursor->split_next];
    cursor->split_next++;
    return aq_slice_make(cursor->fixed, width);
}

/* The bytes of the next value, of all types but booleans. */
static struct aq_slice next_bytes(struct aq_parquet_cursor *cursor)
{
    size_t width = width_of(cursor->pages.leaf);
    int64_t number;
    switch (cursor->encoding) {
    case AQ_PARQUET_PLAIN:
        return aq_reader_bytes(&cursor->plain, width > 0 ? width : aq_reader_u32(&cursor->plain));
    case AQ_PARQUET_DELTA_BINARY_PACKED:
        number = aq_parquet_delta_next(&cursor->numbers);
        memcpy(cursor->fixed, &number, sizeof number); /* an INT32 takes the low bytes */
        return aq_slice_make(cursor->fixed, width);
    case AQ_PARQUET_DELTA_LENGTH_BYTE_ARRAY:
        return aq_reader_bytes(
            &cursor->plain, next_length(cursor, &cursor->numbers, aq_reader_left(&cursor->plain)));
    case AQ_PARQUET_DELTA_BYTE_ARRAY:
        return join_prefix(cursor);
    case AQ_PARQUET_BYTE_STREAM_SPLIT:
        return join_split(cursor);
    default:
        return dictionary_entry(cursor);
    }
}

static int64_t next_boolean(struct aq_parquet_cursor *cursor)
{
    if (cursor->encoding == AQ_PARQUET_RLE)
        return aq_parquet_hybrid_next(&cursor->codes);
    if (cursor->encoding != AQ_PARQUET_PLAIN)
        aq_reader_fail(&cursor->plain);
    if (cursor->bit_left == 0) {
        cursor->bits = aq_reader_u8(&cursor->plain);
        cursor->bit_left = 8;
    }
    int64_t bit = cursor->bits & 1;
    cursor->bits >>= 1;
    cursor->bit_left--;
    return bit;
}

/* Units of time to microseconds; what lies between two is rounded half up. */
static bool to_us(enum aq_parquet_unit unit, int64_t *value)
{
    if (unit == AQ_PARQUET_MILLIS)
        return !__builtin_mul_overflow(*value, INT64_C(1000), value);
    if (unit == AQ_PARQUET_NANOS)
        *value = *value / 1000 + (*value % 1000 >= 500) - (*value % 1000 < -500);
    return true;
}

/* Nanoseconds of the day, then a Julian day. */
static bool int96_to_us(const uint8_t *at, int64_t *value)
{
    int64_t ns = (int64_t)aq_load_u64(at);
    int64_t day = (int64_t)aq_load_u32(at + 8) - JULIAN_DAY_OF_1970;
    int64_t day_us;
    to_us(AQ_PARQUET_NANOS, &ns);
    return !__builtin_mul_overflow(day, US_PER_DAY, &day_us) &&
           !__builtin_add_overflow(day_us, ns, value);
}

/* The cursor has checked that all bytes of a value with a width are there. */
static int64_t load_int(struct aq_slice bytes)
{
    assert(bytes.size == 4 || bytes.size == 8);
    assert(bytes.data != NULL);
    return bytes.size == 4 ? (int32_t)aq_load_u32(bytes.data) : (int64_t)aq_load_u64(bytes.data);
}

static double load_real(struct aq_slice bytes)
{
    float single;
    double real;
    assert(bytes.size == 4 || bytes.size == 8);
    assert(bytes.data != NULL);
    if (bytes.size == 4) {
        memcpy(&single, bytes.data, sizeof single);
        return single;
    }
    memcpy(&real, bytes.data, sizeof real);
    return real;
}

/* Two's complement, the highest byte first; AQ_PARQUET_KIND_DECIMAL has at most 16 of them. */
static bool load_decimal(const struct aq_parquet_leaf *leaf, struct aq_slice bytes,
                         aq_int128 *value)
{
    if (leaf->physical == AQ_PARQUET_INT32 || leaf->physical == AQ_PARQUET_INT64) {
        *value = load_int(bytes);
        return true;
    }
    if (bytes.size == 0 || bytes.size > 16)
        return false;
    aq_uint128 bits = bytes.data[0] >= 0x80 ? ~(aq_uint128)0 : 0;
    for (size_t i = 0; i < bytes.size; i++)
        bits = bits << 8 | bytes.data[i];
    *value = (aq_int128)bits;
    return true;
}

/* False: a value that its type does not allow. */
static bool make_value(const struct aq_parquet_leaf *leaf, struct aq_slice bytes,
                       struct aq_parquet_value *value)
{
    switch (leaf->kind) {
    case AQ_PARQUET_KIND_REAL:
        value->real = load_real(bytes);
        return true;
    case AQ_PARQUET_KIND_UNSIGNED:
        value->integer = bytes.size == 4 ? (int64_t)aq_load_u32(bytes.data) : load_int(bytes);
        return true;
    case AQ_PARQUET_KIND_INTEGER:
    case AQ_PARQUET_KIND_DATE:
        value->integer = load_int(bytes);
        return true;
    case AQ_PARQUET_KIND_TIME:
    case AQ_PARQUET_KIND_TIMESTAMP:
        if (leaf->physical == AQ_PARQUET_INT96)
            return int96_to_us(bytes.data, &value->integer);
        value->integer = load_int(bytes);
        return to_us(leaf->unit, &value->integer);
    case AQ_PARQUET_KIND_DECIMAL:
        return load_decimal(leaf, bytes, &value->decimal);
    default:
        value->bytes = bytes;
        return true;
    }
}

static bool has_failed(const struct aq_parquet_cursor *cursor)
{
    switch (cursor->encoding) {
    case AQ_PARQUET_PLAIN_DICTIONARY:
    case AQ_PARQUET_RLE_DICTIONARY:
    case AQ_PARQUET_RLE:
        return cursor->codes.bytes.failed;
    case AQ_PARQUET_DELTA_BINARY_PACKED:
        return cursor->numbers.bytes.failed;
    default:
        return cursor->plain.failed;
    }
}

enum aq_status aq_parquet_cursor_next(struct aq_parquet_cursor *cursor,
                                      struct aq_parquet_value *value, struct aq_error *err)
{
    const struct aq_parquet_leaf *leaf = cursor->pages.leaf;
    assert(cursor->row_left > 0);
    if (cursor->page_left == 0)
        AQ_TRY(next_page(cursor, err));
    cursor->page_left--;
    cursor->row_left--;
    value->is_null = leaf->optional && aq_parquet_hybrid_next(&cursor->levels) == 0;
    if (cursor->levels.bytes.failed)
        return corrupt(cursor, "definition levels end before their page", err);
    if (value->is_null)
        return AQ_OK;
    bool allowed = true;
    if (leaf->physical == AQ_PARQUET_BOOLEAN) {
        value->integer = next_boolean(cursor);
    } else {
        struct aq_slice bytes = next_bytes(cursor);
        size_t width = width_of(leaf);
        if (has_failed(cursor) || (width > 0 && bytes.size != width))
            return corrupt(cursor, "its values end before their page, or are malformed", err);
        allowed = make_value(leaf, bytes, value);
    }
    if (has_failed(cursor))
        return corrupt(cursor, "its values end before their page", err);
    if (cursor->joined.failed)
        return aq_error_set(err, AQ_NO_MEMORY, "no memory for a text");
    return allowed ? AQ_OK : corrupt(cursor, "a value is out of the range of its type", err);
}
