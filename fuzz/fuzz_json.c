/* Any bytes are one message: a row or a reject, and a row only if the bytes are JSON. */
#include "fuzz/support/decode_schema.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct decode_fuzz *fuzz = decode_fuzz_get();
    struct aq_decoder *decoder = fuzz->decoder;
    struct aq_slice message = aq_slice_make(data, size);
    const char *why;
    aq_decoder_clear(decoder);
    bool valid = aq_json_check(fuzz->index, message, &why) == AQ_OK;
    must(aq_json_decode(fuzz->json, 1, message) == AQ_OK);
    must(decoder->rows.row_count + decoder->rejects.row_count == 1);
    if (decoder->rows.row_count == 1) {
        must(valid);
    } else {
        struct aq_slice reason = decoder->rejects.columns[AQ_REJECT_REASON].slices[0];
        must(valid != (reason.size > 8 && memcmp(reason.data, "not JSON", 8) == 0));
    }
    decode_fuzz_check(fuzz);
    return 0;
}
