#include "format/base/bytes.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "aqstore runs on little-endian machines");

#define VARINT_BYTES_MAX 10

struct aq_slice aq_slice_of(const char *text)
{
    return aq_slice_make(text, strlen(text));
}

int aq_slice_compare(struct aq_slice a, struct aq_slice b)
{
    size_t common = a.size < b.size ? a.size : b.size;
    /* Values of one dictionary entry share their bytes. */
    int order = common == 0 || a.data == b.data ? 0 : memcmp(a.data, b.data, common);
    if (order != 0)
        return order;
    return (a.size > b.size) - (a.size < b.size);
}

void aq_bytes_deinit(struct aq_bytes *bytes)
{
    free(bytes->data);
    *bytes = (struct aq_bytes){0};
}

void aq_bytes_clear(struct aq_bytes *bytes)
{
    bytes->size = 0;
    bytes->failed = false;
}

enum aq_status aq_bytes_status(const struct aq_bytes *bytes)
{
    return bytes->failed ? AQ_NO_MEMORY : AQ_OK;
}

uint8_t *aq_bytes_reserve(struct aq_bytes *bytes, size_t size)
{
    if (bytes->failed)
        return NULL;
    if (bytes->capacity - bytes->size >= size && bytes->data != NULL)
        return bytes->data + bytes->size;
    size_t capacity = bytes->capacity < 256 ? 256 : bytes->capacity;
    while (capacity - bytes->size < size) {
        if (capacity > SIZE_MAX / 2) {
            bytes->failed = true;
            return NULL;
        }
        capacity *= 2;
    }
    uint8_t *data = realloc(bytes->data, capacity);
    if (data == NULL) {
        bytes->failed = true;
        return NULL;
    }
    bytes->data = data;
    bytes->capacity = capacity;
    return data + bytes->size;
}

void aq_bytes_append(struct aq_bytes *bytes, const void *data, size_t size)
{
    uint8_t *at = aq_bytes_reserve(bytes, size);
    if (at == NULL || size == 0)
        return;
    memcpy(at, data, size);
    bytes->size += size;
}

void aq_bytes_append_zeros(struct aq_bytes *bytes, size_t size)
{
    uint8_t *at = aq_bytes_reserve(bytes, size);
    if (at == NULL)
        return;
    memset(at, 0, size);
    bytes->size += size;
}

void aq_bytes_align(struct aq_bytes *bytes, size_t alignment)
{
    aq_bytes_append_zeros(bytes, (alignment - bytes->size % alignment) % alignment);
}

void aq_bytes_u8(struct aq_bytes *bytes, uint8_t value)
{
    aq_bytes_append(bytes, &value, 1);
}

void aq_bytes_u16(struct aq_bytes *bytes, uint16_t value)
{
    aq_bytes_append(bytes, &value, sizeof value);
}

void aq_bytes_u32(struct aq_bytes *bytes, uint32_t value)
{
    aq_bytes_append(bytes, &value, sizeof value);
}

void aq_bytes_u64(struct aq_bytes *bytes, uint64_t value)
{
    aq_bytes_append(bytes, &value, sizeof value);
}

void aq_bytes_varint(struct aq_bytes *bytes, uint64_t value)
{
    uint8_t coded[VARINT_BYTES_MAX];
    size_t size = 0;
    while (value >= 0x80) {
        coded[size++] = (uint8_t)(value | 0x80);
        value >>= 7;
    }
    coded[size++] = (uint8_t)value;
    aq_bytes_append(bytes, coded, size);
}

void aq_bytes_varint_signed(struct aq_bytes *bytes, int64_t value)
{
    aq_bytes_varint(bytes, aq_zigzag(value));
}

void aq_bytes_slice(struct aq_bytes *bytes, struct aq_slice slice)
{
    aq_bytes_varint(bytes, slice.size);
    aq_bytes_append(bytes, slice.data, slice.size);
}

void aq_bytes_text(struct aq_bytes *bytes, const char *text)
{
    aq_bytes_slice(bytes, aq_slice_of(text));
}

void aq_bytes_chars(struct aq_bytes *bytes, const char *text)
{
    aq_bytes_append(bytes, text, strlen(text));
}

void aq_bytes_patch_u32(struct aq_bytes *bytes, size_t offset, uint32_t value)
{
    if (bytes->failed)
        return;
    assert(offset + sizeof value <= bytes->size);
    memcpy(bytes->data + offset, &value, sizeof value);
}

void aq_bytes_patch_u64(struct aq_bytes *bytes, size_t offset, uint64_t value)
{
    if (bytes->failed)
        return;
    assert(offset + sizeof value <= bytes->size);
    memcpy(bytes->data + offset, &value, sizeof value);
}

struct aq_slice aq_bytes_view(const struct aq_bytes *bytes)
{
    return aq_slice_make(bytes->data, bytes->size);
}

struct aq_reader aq_reader_make(struct aq_slice slice)
{
    return (struct aq_reader){.data = slice.data, .size = slice.size};
}

size_t aq_reader_left(const struct aq_reader *reader)
{
    return reader->failed ? 0 : reader->size - reader->offset;
}

void aq_reader_fail(struct aq_reader *reader)
{
    if (reader->failed)
        return;
    reader->failed = true;
    reader->fail_offset = reader->offset;
}

struct aq_slice aq_reader_bytes(struct aq_reader *reader, size_t size)
{
    if (aq_reader_left(reader) < size) {
        aq_reader_fail(reader);
        return (struct aq_slice){0};
    }
    struct aq_slice result = {.data = reader->data + reader->offset, .size = size};
    reader->offset += size;
    return result;
}

void aq_reader_skip(struct aq_reader *reader, size_t size)
{
    (void)aq_reader_bytes(reader, size);
}

static void read_fixed(struct aq_reader *reader, void *out, size_t size)
{
    struct aq_slice bytes = aq_reader_bytes(reader, size);
    if (bytes.size == size)
        memcpy(out, bytes.data, size);
}

uint8_t aq_reader_u8(struct aq_reader *reader)
{
    uint8_t value = 0;
    read_fixed(reader, &value, sizeof value);
    return value;
}

uint16_t aq_reader_u16(struct aq_reader *reader)
{
    uint16_t value = 0;
    read_fixed(reader, &value, sizeof value);
    return value;
}

uint32_t aq_reader_u32(struct aq_reader *reader)
{
    uint32_t value = 0;
    read_fixed(reader, &value, sizeof value);
    return value;
}

uint64_t aq_reader_u64(struct aq_reader *reader)
{
    uint64_t value = 0;
    read_fixed(reader, &value, sizeof value);
    return value;
}

uint64_t aq_reader_varint(struct aq_reader *reader)
{
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
        if (aq_reader_left(reader) == 0)
            break;
        uint8_t byte = reader->data[reader->offset];
        /* The tenth byte holds one bit; a zero last byte after others is not the shortest form. */
        if ((shift == 63 && byte > 1) || (byte == 0 && shift > 0))
            break;
        reader->offset++;
        value |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80)
            return value;
    }
    aq_reader_fail(reader);
    return 0;
}

int64_t aq_reader_varint_signed(struct aq_reader *reader)
{
    return aq_unzigzag(aq_reader_varint(reader));
}

size_t aq_reader_count(struct aq_reader *reader)
{
    uint64_t count = aq_reader_varint(reader);
    if (count > aq_reader_left(reader)) {
        aq_reader_fail(reader);
        return 0;
    }
    return (size_t)count;
}

struct aq_slice aq_reader_slice(struct aq_reader *reader)
{
    return aq_reader_bytes(reader, aq_reader_count(reader));
}

enum aq_status aq_reader_status(const struct aq_reader *reader, const char *what,
                                struct aq_error *err)
{
    if (!reader->failed)
        return AQ_OK;
    return aq_error_set_at(err, AQ_CORRUPT, NULL, (int64_t)reader->fail_offset,
                           "%s is cut short or malformed", what);
}

enum aq_status aq_reader_finish(const struct aq_reader *reader, const char *what,
                                struct aq_error *err)
{
    AQ_TRY(aq_reader_status(reader, what, err));
    if (reader->offset == reader->size)
        return AQ_OK;
    return aq_error_set_at(err, AQ_CORRUPT, NULL, (int64_t)reader->offset,
                           "%s is followed by %zu bytes that do not belong to it", what,
                           reader->size - reader->offset);
}
