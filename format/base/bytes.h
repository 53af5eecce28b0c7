/* Growable byte buffer and bounded byte reader: all bytes on disk pass through these two.
 * Integers are little-endian; varints are LEB128; signed varints are zigzag-coded first. */
#ifndef AQ_FORMAT_BYTES_H
#define AQ_FORMAT_BYTES_H

#include <stdbool.h>
#include <string.h>

#include "format/base/status.h"

/* 128-bit integers are a GNU extension of gcc and clang; named here once. */
__extension__ typedef __int128 aq_int128;
__extension__ typedef unsigned __int128 aq_uint128;

/** A borrowed run of bytes. `data` may be NULL only when `size` is 0. */
struct aq_slice {
    const uint8_t *data;
    size_t size;
};

static inline struct aq_slice aq_slice_make(const void *data, size_t size)
{
    struct aq_slice slice; /* no compound literal: C++ shims include this, too */
    slice.data = (const uint8_t *)data;
    slice.size = size;
    return slice;
}

/** Slice over a NUL-terminated string, without its terminator. */
struct aq_slice aq_slice_of(const char *text);
/** memcmp order, a prefix before what it begins: <0, 0, >0. */
int aq_slice_compare(struct aq_slice a, struct aq_slice b);

/**
 * Growable buffer. Zero-initialise. Errors are sticky: after a failed growth every append is a
 * no-op and `failed` is set; check once at the end with aq_bytes_status.
 */
struct aq_bytes {
    uint8_t *data;
    size_t size;
    size_t capacity;
    bool failed;
};

void aq_bytes_deinit(struct aq_bytes *bytes);
void aq_bytes_clear(struct aq_bytes *bytes);
/** AQ_OK, or AQ_NO_MEMORY when an append failed since the last clear. */
enum aq_status aq_bytes_status(const struct aq_bytes *bytes);
/** Room for `size` more bytes at the end; NULL when memory is out. Does not change `size`. */
uint8_t *aq_bytes_reserve(struct aq_bytes *bytes, size_t size);
void aq_bytes_append(struct aq_bytes *bytes, const void *data, size_t size);
void aq_bytes_append_zeros(struct aq_bytes *bytes, size_t size);
/** Zero bytes up to the next multiple of `alignment` (a power of two) of `size`. */
void aq_bytes_align(struct aq_bytes *bytes, size_t alignment);
void aq_bytes_u8(struct aq_bytes *bytes, uint8_t value);
void aq_bytes_u16(struct aq_bytes *bytes, uint16_t value);
void aq_bytes_u32(struct aq_bytes *bytes, uint32_t value);
void aq_bytes_u64(struct aq_bytes *bytes, uint64_t value);
void aq_bytes_varint(struct aq_bytes *bytes, uint64_t value);
void aq_bytes_varint_signed(struct aq_bytes *bytes, int64_t value);
/** Varint length, then the bytes. */
void aq_bytes_slice(struct aq_bytes *bytes, struct aq_slice slice);
void aq_bytes_text(struct aq_bytes *bytes, const char *text);
/** The characters of `text` alone: no length, no terminator. */
void aq_bytes_chars(struct aq_bytes *bytes, const char *text);
/** Overwrite at `offset`, which must lie inside `size` (asserted). */
void aq_bytes_patch_u32(struct aq_bytes *bytes, size_t offset, uint32_t value);
void aq_bytes_patch_u64(struct aq_bytes *bytes, size_t offset, uint64_t value);
struct aq_slice aq_bytes_view(const struct aq_bytes *bytes);

/**
 * Bounded reader over untrusted bytes. Errors are sticky: the first read past the end or malformed
 * varint sets `failed` and `fail_offset`; later reads give zeros. Check with aq_reader_status
 * before using anything that was read as a length.
 */
struct aq_reader {
    const uint8_t *data;
    size_t size;
    size_t offset;
    size_t fail_offset;
    bool failed;
};

struct aq_reader aq_reader_make(struct aq_slice slice);
size_t aq_reader_left(const struct aq_reader *reader);
/** Mark the reader failed at its present offset (for semantic checks by the caller). */
void aq_reader_fail(struct aq_reader *reader);
uint8_t aq_reader_u8(struct aq_reader *reader);
uint16_t aq_reader_u16(struct aq_reader *reader);
uint32_t aq_reader_u32(struct aq_reader *reader);
uint64_t aq_reader_u64(struct aq_reader *reader);
uint64_t aq_reader_varint(struct aq_reader *reader);
int64_t aq_reader_varint_signed(struct aq_reader *reader);
/** A varint that counts things of which each takes >= 1 byte of what is left: larger fails. */
size_t aq_reader_count(struct aq_reader *reader);
/** `size` bytes in place (borrowed from the reader's slice); an empty slice on failure. */
struct aq_slice aq_reader_bytes(struct aq_reader *reader, size_t size);
/** Varint length, then that many bytes, borrowed. */
struct aq_slice aq_reader_slice(struct aq_reader *reader);
void aq_reader_skip(struct aq_reader *reader, size_t size);
/** AQ_OK, or AQ_CORRUPT with the offset and `what` was being read. */
enum aq_status aq_reader_status(const struct aq_reader *reader, const char *what,
                                struct aq_error *err) AQ_RESULT;
/** As aq_reader_status, and the reader must be at its end. */
enum aq_status aq_reader_finish(const struct aq_reader *reader, const char *what,
                                struct aq_error *err) AQ_RESULT;

/* Fixed-width little-endian access to memory that is known to be there. */
static inline uint16_t aq_load_u16(const uint8_t *at)
{
    uint16_t value;
    memcpy(&value, at, sizeof value);
    return value;
}

static inline uint32_t aq_load_u32(const uint8_t *at)
{
    uint32_t value;
    memcpy(&value, at, sizeof value);
    return value;
}

static inline uint64_t aq_load_u64(const uint8_t *at)
{
    uint64_t value;
    memcpy(&value, at, sizeof value);
    return value;
}

static inline void aq_store_u16(uint8_t *at, uint16_t value)
{
    memcpy(at, &value, sizeof value);
}

static inline void aq_store_u32(uint8_t *at, uint32_t value)
{
    memcpy(at, &value, sizeof value);
}

static inline void aq_store_u64(uint8_t *at, uint64_t value)
{
    memcpy(at, &value, sizeof value);
}

/** Names and words are short: two loads that may overlap tell up to 16 bytes apart. */
static inline bool aq_slice_equal(struct aq_slice a, struct aq_slice b)
{
    size_t size = a.size;
    if (size != b.size)
        return false;
    if (size > 16)
        return a.data == b.data || memcmp(a.data, b.data, size) == 0;
    if (size >= 8)
        return ((aq_load_u64(a.data) ^ aq_load_u64(b.data)) |
                (aq_load_u64(a.data + size - 8) ^ aq_load_u64(b.data + size - 8))) == 0;
    if (size >= 4)
        return ((aq_load_u32(a.data) ^ aq_load_u32(b.data)) |
                (aq_load_u32(a.data + size - 4) ^ aq_load_u32(b.data + size - 4))) == 0;
    return size == 0 || (a.data[0] == b.data[0] && a.data[size / 2] == b.data[size / 2] &&
                         a.data[size - 1] == b.data[size - 1]);
}

static inline uint64_t aq_zigzag(int64_t value)
{
    return ((uint64_t)value << 1) ^ (uint64_t)(value >> 63);
}

static inline int64_t aq_unzigzag(uint64_t value)
{
    return (int64_t)(value >> 1) ^ -(int64_t)(value & 1);
}

#endif
