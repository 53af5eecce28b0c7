/* Dictionaries: a node of the different values in order of first occurrence, a node of codes. The
 * order makes codes deterministic, and ascending where a sorted column meets its values. Where there are many integers,
 * ascending ones are smaller: their differences are, and codes keep what is alike in values near each other. Archives try the
 * most frequent first, too, where codes may then take less (choose/frequency.c). */
#include "format/encode/ans/ans32.h"
#include "format/encode/choose/estimate.h"
#include "format/encode/number.h"
#include "format/encode/choose/trials.h"

#include <stdlib.h>

/* Of what codes take: where an estimate, which knows no context, is more, no other order is tried. */
#define FREQUENCY_PAYS 1.2
#define FEW_ENTRIES 64 /* of which contexts may know each */

/* What a node is made of: integers, or strings. */
struct parts {
    int64_t *entries;
    struct aq_slice *texts; /* NULL, or instead of `entries` */
    size_t entry_count;
    int64_t *codes;
    size_t count;
    unsigned depth;
};

static enum aq_status take_codes(struct aq_encoder *encoder, const struct aq_numbers *numbers,
                                 struct parts *parts)
{
    parts->codes = aq_encoder_alloc(encoder, parts->count, sizeof *parts->codes);
    if (parts->codes == NULL)
        return AQ_NO_MEMORY;
    for (size_t i = 0; i < parts->count; i++)
        parts->codes[i] = numbers->codes[i];
    return AQ_OK;
}

/* Integers numbered as they are met, and the different ones. */
static enum aq_status number_ints(struct aq_encoder *encoder, const int64_t *values, size_t count,
                                  size_t entry_max, struct parts *parts)
{
    struct aq_numbers numbers;
    AQ_TRY(aq_number_ints(values, NULL, count, entry_max, &encoder->scratch, &numbers));
    parts->entry_count = numbers.count;
    parts->entries = aq_encoder_alloc(encoder, numbers.count, sizeof *parts->entries);
    if (parts->entries == NULL)
        return AQ_NO_MEMORY;
    for (size_t i = 0; i < numbers.count; i++)
        parts->entries[i] = values[numbers.firsts[i]];
    return take_codes(encoder, &numbers, parts);
}

struct entry {
    int64_t value;
    uint32_t code; /* in order of first occurrence */
};

static int compare_entries(const void *a, const void *b)
{
    const struct entry *left = a;
    const struct entry *right = b;
    return (left->value > right->value) - (left->value < right->value);
}

/* Give the entries in ascending order, and the values their codes in that. */
static enum aq_status sort_entries(struct aq_encoder *encoder, struct parts *parts)
{
    size_t entry_count = parts->entry_count;
    struct entry *entries = aq_encoder_alloc(encoder, entry_count, sizeof *entries);
    uint32_t *places = aq_encoder_alloc(encoder, entry_count, sizeof *places);
    if (entries == NULL || places == NULL)
        return AQ_NO_MEMORY;
    for (uint32_t i = 0; i < entry_count; i++)
        entries[i] = (struct entry){.value = parts->entries[i], .code = i};
    qsort(entries, entry_count, sizeof *entries, compare_entries);
    for (uint32_t i = 0; i < entry_count; i++) {
        parts->entries[i] = entries[i].value;
        places[entries[i].code] = i;
    }
    for (size_t i = 0; i < parts->count; i++)
        parts->codes[i] = places[parts->codes[i]];
    return AQ_OK;
}

/* Returns the bytes of its codes by *codes_size. */
static enum aq_status encode_parts(struct aq_encoder *encoder, const struct parts *parts,
                                   uint32_t codes_plan, struct aq_bytes *out, size_t *codes_size)
{
    bool of_ints = parts->texts == NULL;
    encoder->plan = 0;
    aq_bytes_u8(out, of_ints ? AQ_ENCODING_DICT : AQ_ENCODING_TEXT_DICT);
    aq_bytes_varint(out, parts->entry_count);
    AQ_TRY(of_ints
               ? aq_encode_ints(encoder, parts->entries, parts->entry_count, parts->depth + 1, out)
               : aq_text_encode(encoder, parts->texts, parts->entry_count, 1, out));
    size_t codes_at = out->size;
    encoder->plan = codes_plan;
    enum aq_status status =
        aq_encode_ints(encoder, parts->codes, parts->count, parts->depth + 1, out);
    *codes_size = out->size - codes_at;
    return status;
}

static enum aq_status permute(struct aq_encoder *encoder, struct parts *parts,
                              const uint32_t *ranks)
{
    bool of_ints = parts->texts == NULL;
    int64_t *entries = aq_encoder_alloc(encoder, parts->entry_count, sizeof *entries);
    struct aq_slice *texts = aq_encoder_alloc(encoder, parts->entry_count, sizeof *texts);
    if (entries == NULL || texts == NULL)
        return AQ_NO_MEMORY;
    for (size_t i = 0; i < parts->entry_count; i++) {
        if (of_ints)
            entries[ranks[i]] = parts->entries[i];
        else
            texts[ranks[i]] = parts->texts[i];
    }
    for (size_t i = 0; i < parts->count; i++)
        parts->codes[i] = ranks[parts->codes[i]];
    parts->entries = of_ints ? entries : NULL;
    parts->texts = of_ints ? NULL : texts;
    return AQ_OK;
}

/* With entries as they are, or by frequency. */
static enum aq_status encode_best(struct aq_encoder *encoder, struct parts *parts,
                                  uint32_t codes_plan, struct aq_bytes *out)
{
    struct aq_trials trials = aq_trials_begin(encoder, out);
    size_t codes_size;
    uint32_t *ranks;
    double bits;
    AQ_TRY(encode_parts(encoder, parts, codes_plan, out, &codes_size));
    aq_trials_judge(&trials);
    if (encoder->options->profile != AQ_PROFILE_ARCHIVE || out->failed ||
        parts->count < AQ_ANS32_ROWS_MIN || parts->entry_count <= AQ_ANS_TOKENS_DIRECT)
        return AQ_OK;
    AQ_TRY(
        aq_frequency_order(encoder, parts->codes, parts->count, parts->entry_count, &ranks, &bits));
    if (bits > (double)codes_size * 8 * FREQUENCY_PAYS && parts->entry_count > FEW_ENTRIES)
        return AQ_OK;
    AQ_TRY(permute(encoder, parts, ranks));
    return aq_trials_end(&trials, encode_parts(encoder, parts, AQ_SHAPE_LEAF, out, &codes_size));
}

enum aq_status aq_dict_encode(struct aq_encoder *encoder, const int64_t *values, size_t count,
                              size_t entry_max, enum aq_entry_order order, unsigned depth,
                              struct aq_bytes *out)
{
    struct parts parts = {.count = count, .depth = depth};
    uint32_t codes_plan = encoder->plan;
    size_t codes_size;
    encoder->plan = 0;
    AQ_TRY(number_ints(encoder, values, count, entry_max, &parts));
    if (order == AQ_ENTRIES_AS_MET)
        return encode_best(encoder, &parts, codes_plan, out);
    AQ_TRY(sort_entries(encoder, &parts));
    return encode_parts(encoder, &parts, codes_plan, out, &codes_size);
}

enum aq_status aq_text_dict_encode(struct aq_encoder *encoder, const struct aq_slice *values,
                                   size_t count, size_t entry_max, struct aq_bytes *out)
{
    struct parts parts = {.count = count};
    struct aq_numbers numbers;
    AQ_TRY(aq_number_slices(values, NULL, count, entry_max, &encoder->scratch, &numbers));
    parts.entry_count = numbers.count;
    parts.texts = aq_encoder_alloc(encoder, numbers.count, sizeof *parts.texts);
    if (parts.texts == NULL)
        return AQ_NO_MEMORY;
    for (size_t i = 0; i < numbers.count; i++)
        parts.texts[i] = values[numbers.firsts[i]];
    AQ_TRY(take_codes(encoder, &numbers, &parts));
    return encode_best(encoder, &parts, 0, out);
}

/* The entry count both kinds begin with. */
static enum aq_status decode_entry_count(struct aq_decoder *decoder, size_t count,
                                         size_t *entry_count)
{
    uint64_t read = aq_reader_varint(&decoder->reader);
    if (read == 0 || read > count)
        return aq_decoder_corrupt(decoder);
    *entry_count = (size_t)read;
    return AQ_OK;
}

/* The integers that a node begins with; its codes follow. */
static enum aq_status decode_int_entries(struct aq_decoder *decoder, size_t count,
                                         int64_t **entries, size_t *entry_count)
{
    AQ_TRY(decode_entry_count(decoder, count, entry_count));
    AQ_TRY(aq_decoder_alloc(decoder, *entry_count, sizeof **entries, entries));
    return aq_decode_ints(decoder, *entries, *entry_count);
}

/* The same of strings. */
static enum aq_status decode_text_entries(struct aq_decoder *decoder, size_t count,
                                          struct aq_slice **entries, size_t *entry_count)
{
    struct aq_wanted wanted = decoder->wanted;
    struct aq_packing *packing = decoder->packing;
    AQ_TRY(decode_entry_count(decoder, count, entry_count));
    AQ_TRY(aq_decoder_alloc(decoder, *entry_count, sizeof **entries, entries));
    decoder->wanted = (struct aq_wanted){.end = *entry_count};
    decoder->packing = NULL;
    AQ_TRY(aq_decode_slices(decoder, *entries, *entry_count));
    decoder->wanted = wanted;
    decoder->packing = packing;
    return AQ_OK;
}

enum aq_status aq_dict_decode(struct aq_decoder *decoder, int64_t *values, size_t count)
{
    size_t entry_count = 0;
    int64_t *entries;
    AQ_TRY(decode_int_entries(decoder, count, &entries, &entry_count));
    AQ_TRY(aq_decode_row_ints(decoder, values, count));
    bool good =
        true; /* judged at the end: leaving the loop early would cost more than the rest of it */
    for (size_t first = 0, end = 0; aq_wanted_next(&decoder->wanted, &first, &end);)
        for (size_t i = first; i < end; i++) {
            uint64_t code = (uint64_t)values[i];
            good &= code < entry_count;
            values[i] = entries[code < entry_count ? code : 0];
        }
    return good ? AQ_OK : aq_decoder_corrupt(decoder);
}

enum aq_status aq_text_dict_decode(struct aq_decoder *decoder, struct aq_slice *values,
                                   size_t count)
{
    size_t entry_count = 0;
    struct aq_slice *entries;
    int64_t *codes;
    AQ_TRY(decode_text_entries(decoder, count, &entries, &entry_count));
    AQ_TRY(aq_decoder_alloc(decoder, count, sizeof *codes, &codes));
    AQ_TRY(aq_decode_row_ints(decoder, codes, count));
    bool good = true;
    for (size_t first = 0, end = 0; aq_wanted_next(&decoder->wanted, &first, &end);)
        for (size_t i = first; i < end; i++) {
            uint64_t code = (uint64_t)codes[i];
            good &= code < entry_count;
            values[i] = entries[code < entry_count ? code : 0];
        }
    return good ? AQ_OK : aq_decoder_corrupt(decoder);
}

/* Codes that are all of entries. */
static enum aq_status decode_codes(struct aq_decoder *decoder, struct aq_vector *codes,
                                   size_t entry_count)
{
    uint64_t bits =
        0; /* of any: most often below the count itself, and quicker to find than the largest code */
    uint64_t max = 0;
    AQ_TRY(aq_decode_row_ints(decoder, codes->ints, codes->row_count));
    for (size_t i = decoder->wanted.first; i < decoder->wanted.end; i++)
        bits |= (uint64_t)codes->ints[i];
    for (size_t i = decoder->wanted.first; bits >= entry_count && i < decoder->wanted.end; i++)
        max = (uint64_t)codes->ints[i] > max ? (uint64_t)codes->ints[i] : max;
    return max < entry_count ? AQ_OK : aq_decoder_corrupt(decoder);
}

enum aq_status aq_dict_factor(struct aq_decoder *decoder, struct aq_factored *factored)
{
    size_t entry_count = 0;
    int64_t *entries;
    AQ_TRY(decode_int_entries(decoder, factored->codes.row_count, &entries, &entry_count));
    AQ_TRY(aq_factored_take(factored, entries, entry_count));
    return decode_codes(decoder, &factored->codes, entry_count);
}

enum aq_status aq_text_dict_factor(struct aq_decoder *decoder, struct aq_factored *factored)
{
    size_t entry_count = 0;
    struct aq_slice *entries;
    AQ_TRY(decode_text_entries(decoder, factored->codes.row_count, &entries, &entry_count));
    AQ_TRY(aq_vector_reserve(&factored->values, entry_count));
    AQ_TRY(aq_vector_resize(&factored->values, entry_count));
    memcpy(factored->values.slices, entries, entry_count * sizeof *entries);
    return decode_codes(decoder, &factored->codes, entry_count);
}
