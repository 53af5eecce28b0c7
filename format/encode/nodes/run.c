/* Runs of equal values: a node of their lengths less one, a node of their values. */
#include "format/encode/node.h"

enum aq_status aq_run_encode(struct aq_encoder *encoder, const int64_t *values, size_t count,
                             unsigned depth, struct aq_bytes *out)
{
    int64_t *lengths = aq_encoder_alloc(encoder, count, sizeof *lengths);
    int64_t *heads = aq_encoder_alloc(encoder, count, sizeof *heads);
    if (lengths == NULL || heads == NULL)
        return AQ_NO_MEMORY;
    size_t run_count = 0;
    size_t first = 0;
    for (size_t i = 1; i <= count; i++) {
        if (i < count && values[i] == values[first])
            continue;
        heads[run_count] = values[first];
        lengths[run_count++] = (int64_t)(i - first - 1);
        first = i;
    }
    aq_bytes_u8(out, AQ_ENCODING_RUN);
    aq_bytes_varint(out, run_count);
    AQ_TRY(aq_encode_ints(encoder, lengths, run_count, depth + 1, out));
    return aq_encode_ints(encoder, heads, run_count, depth + 1, out);
}

struct runs {
    size_t count;
    int64_t *ends; /* the row behind each run */
    int64_t *heads;
};

static enum aq_status read_runs(struct aq_decoder *decoder, size_t row_count, struct runs *runs)
{
    uint64_t run_count = aq_reader_varint(&decoder->reader);
    if (run_count == 0 || run_count > row_count)
        return aq_decoder_corrupt(decoder);
    AQ_TRY(aq_decoder_alloc(decoder, run_count, sizeof *runs->ends, &runs->ends));
    AQ_TRY(aq_decoder_alloc(decoder, run_count, sizeof *runs->heads, &runs->heads));
    AQ_TRY(aq_decode_ints(decoder, runs->ends, run_count));
    AQ_TRY(aq_decode_ints(decoder, runs->heads, run_count));
    size_t at = 0;
    for (size_t run = 0; run < run_count; run++) {
        uint64_t more = (uint64_t)runs->ends[run];
        if (more >= row_count - at)
            return aq_decoder_corrupt(decoder);
        at += more + 1;
        runs->ends[run] = (int64_t)at;
    }
    runs->count = run_count;
    return at == row_count ? AQ_OK : aq_decoder_corrupt(decoder);
}

enum aq_status aq_run_decode(struct aq_decoder *decoder, int64_t *values, size_t count)
{
    struct runs runs;
    AQ_TRY(read_runs(decoder, count, &runs));
    size_t at = decoder->wanted.first;
    for (size_t run = 0; run < runs.count && at < decoder->wanted.end; run++) {
        size_t end = (size_t)runs.ends[run];
        end = end < decoder->wanted.end ? end : decoder->wanted.end;
        for (; at < end; at++)
            values[at] = runs.heads[run];
    }
    return AQ_OK;
}

enum aq_status aq_run_factor(struct aq_decoder *decoder, struct aq_factored *factored)
{
    struct runs runs;
    AQ_TRY(read_runs(decoder, factored->codes.row_count, &runs));
    factored->ends = aq_arena_copy(&factored->arena, runs.ends, runs.count * sizeof *runs.ends);
    return factored->ends == NULL ? AQ_NO_MEMORY
                                  : aq_factored_take(factored, runs.heads, runs.count);
}

enum aq_status aq_run_decode_flags(struct aq_decoder *decoder, uint8_t *flags, size_t count)
{
    struct runs runs;
    AQ_TRY(read_runs(decoder, count, &runs));
    size_t at = 0;
    for (size_t run = 0; run < runs.count; run++) {
        if ((uint64_t)runs.heads[run] > 1)
            return aq_decoder_corrupt(decoder);
        memset(flags + at, (int)runs.heads[run], (size_t)runs.ends[run] - at);
        at = (size_t)runs.ends[run];
    }
    return AQ_OK;
}
