/* FlatBuffers: an offset is the distance from its own place to what it leads to; a table begins with the distance back to
 * its vtable, which says where each field lies. Failures: those of the bytes, sticky. */
#include <assert.h>

#include "format/arrow/flatbuffer.h"

size_t aq_flat_begin(struct aq_bytes *out)
{
    assert(out->size == 0);
    aq_bytes_u32(out, 0);
    return 0;
}

static void point(struct aq_bytes *out, size_t place)
{
    aq_bytes_patch_u32(out, place, (uint32_t)(out->size - place));
}

static size_t aligned(size_t size, size_t alignment)
{
    return (size + alignment - 1) & ~(alignment - 1);
}

void aq_flat_table(struct aq_bytes *out, size_t place, const struct aq_flat_field *fields,
                   size_t field_count, size_t *places)
{
    uint16_t at[AQ_FLAT_FIELDS_MAX] = {0};
    size_t slot_count = field_count == 0 ? 0 : fields[field_count - 1].id + 1;
    size_t vtable_bytes = 4 + 2 * slot_count;
    size_t size = 4; /* of the table */
    for (size_t i = 0; i < field_count; i++) {
        size = aligned(size, fields[i].size);
        at[fields[i].id] = (uint16_t)size;
        size += fields[i].size;
    }
    while ((out->size + vtable_bytes) % 8 != 0)
        aq_bytes_u8(out, 0);
    aq_bytes_u16(out, (uint16_t)vtable_bytes);
    aq_bytes_u16(out, (uint16_t)size);
    for (size_t i = 0; i < slot_count; i++)
        aq_bytes_u16(out, at[i]);
    point(out, place);
    size_t table = out->size;
    aq_bytes_u32(out, (uint32_t)vtable_bytes);
    for (size_t i = 0; i < field_count; i++) {
        aq_bytes_append_zeros(out, table + at[fields[i].id] - out->size);
        if (places != NULL)
            places[i] = out->size;
        aq_bytes_append(out, &fields[i].value, fields[i].size);
    }
}

void aq_flat_vector(struct aq_bytes *out, size_t place, size_t count, size_t alignment)
{
    while ((out->size + sizeof(uint32_t)) % alignment != 0 || out->size % sizeof(uint32_t) != 0)
        aq_bytes_u8(out, 0);
    point(out, place);
    aq_bytes_u32(out, (uint32_t)count);
}

void aq_flat_string(struct aq_bytes *out, size_t place, struct aq_slice text)
{
    aq_flat_vector(out, place, text.size, 1);
    aq_bytes_append(out, text.data, text.size);
    aq_bytes_u8(out, 0);
}

void aq_flat_offsets(struct aq_bytes *out, size_t place, size_t count, size_t *first)
{
    aq_flat_vector(out, place, count, sizeof(uint32_t));
    *first = out->size;
    aq_bytes_append_zeros(out, count * sizeof(uint32_t));
}
