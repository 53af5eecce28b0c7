/* Any bytes are a CSV record, and a file of CSV, NDJSON or JSON: every byte of a file is split into messages
 * once, the same way each time, and every message is a row or a reject. The first byte chooses; mostly one
 * record, as files are slow. */
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "engine/ingest/file/read/split.h"
#include "fuzz/support/decode_schema.h"

/* In front of the input, so that libarchive never takes it for something to unpack. */
static const char *const beginnings[] = {"o,i,b,r,d,t,x,j,y,z,h,p,s,u,n,\"q\"\"\n\"\n", "\n", " "};
#define CHOICES 16
static const enum aq_source_format formats[] = {AQ_FORMAT_CSV, AQ_FORMAT_NDJSON, AQ_FORMAT_JSON};

struct outcome {
    uint64_t message_count;
    uint64_t offset;
    struct aq_hash128 hash;
};

static void decode(struct decode_fuzz *fuzz, struct aq_csv_decoder **csv,
                   const struct aq_message *message, uint64_t ordinal)
{
    const char *notice;
    if (message->kind == AQ_MESSAGE_HEADER)
        must(aq_csv_decoder_create(fuzz->decoder, message->bytes, csv, &notice, NULL) == AQ_OK);
    else if (message->kind == AQ_MESSAGE_BROKEN)
        must(aq_decoder_reject(fuzz->decoder, message->reject_class, ordinal, message->bytes, "%s",
                               message->reason) == AQ_OK);
    else if (*csv != NULL)
        must(aq_csv_decode(*csv, ordinal, message->bytes) == AQ_OK);
    else
        must(aq_json_decode(fuzz->json, ordinal, message->bytes) == AQ_OK);
}

static struct outcome split(struct decode_fuzz *fuzz, struct aq_source_file *file,
                            enum aq_source_format format)
{
    struct aq_stream stream;
    struct aq_splitter splitter;
    struct aq_csv_decoder *csv = NULL;
    struct outcome outcome = {0};
    struct aq_message message;
    enum aq_status status;
    must(aq_source_file_rewind(file, false, NULL) == AQ_OK);
    must(aq_stream_init(&stream, file, NULL) == AQ_OK);
    aq_splitter_init(&splitter, &stream, format);
    if (format == AQ_FORMAT_JSON) {
        must(aq_splitter_check_json(&splitter, NULL) == AQ_OK);
        must(aq_stream_rewind(&stream, false, NULL) == AQ_OK);
    }
    aq_decoder_clear(fuzz->decoder);
    while ((status = aq_splitter_next(&splitter, &message, NULL)) == AQ_OK) {
        if (message.kind == AQ_MESSAGE_NONE)
            continue;
        decode(fuzz, &csv, &message, outcome.message_count);
        outcome.message_count += message.kind != AQ_MESSAGE_HEADER;
    }
    must(status == AQ_END);
    outcome.offset = stream.offset;
    outcome.hash = aq_stream_hash(&stream);
    aq_csv_decoder_destroy(csv);
    aq_splitter_deinit(&splitter);
    aq_stream_deinit(&stream);
    return outcome;
}

static void check_hash(const char *beginning, const uint8_t *data, size_t size,
                       const struct aq_hash128 *hash)
{
    struct aq_hasher *hasher = aq_hasher_create();
    must(hasher != NULL);
    aq_hasher_update(hasher, beginning, strlen(beginning));
    aq_hasher_update(hasher, data, size);
    struct aq_hash128 expected = aq_hasher_digest(hasher);
    must(aq_hash128_equal(hash, &expected));
    aq_hasher_destroy(hasher);
}

static void split_file(struct decode_fuzz *fuzz, size_t choice, const uint8_t *data, size_t size)
{
    struct aq_source_file *file;
    char path[64];
    int fd = memfd_create("fuzz", MFD_CLOEXEC);
    size_t beginning_size = strlen(beginnings[choice]);
    must(write(fd, beginnings[choice], beginning_size) == (ssize_t)beginning_size);
    must(size == 0 || write(fd, data, size) == (ssize_t)size);
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    must(aq_source_file_open(path, -1, NULL, &file, NULL) == AQ_OK);
    struct outcome first = split(fuzz, file, formats[choice]);
    must(first.offset == beginning_size + size);
    must(fuzz->decoder->rows.row_count + fuzz->decoder->rejects.row_count == first.message_count);
    decode_fuzz_check(fuzz);
    check_hash(beginnings[choice], data, size, &first.hash);
    struct outcome second = split(fuzz, file, formats[choice]);
    must(second.message_count == first.message_count && second.offset == first.offset);
    aq_source_file_close(file);
    close(fd);
}

/* In memory of its own, so that a read beyond the record shows. */
static void decode_record(struct decode_fuzz *fuzz, const uint8_t *data, size_t size)
{
    static struct aq_csv_decoder *csv;
    struct aq_slice header = aq_slice_of(beginnings[0]);
    const char *notice;
    header.size--;
    if (csv == NULL)
        must(aq_csv_decoder_create(fuzz->decoder, header, &csv, &notice, NULL) == AQ_OK);
    uint8_t *copy = malloc(size == 0 ? 1 : size);
    must(copy != NULL);
    if (size > 0)
        memcpy(copy, data, size);
    aq_decoder_clear(fuzz->decoder);
    must(aq_csv_decode(csv, 1, aq_slice_make(copy, size)) == AQ_OK);
    free(copy);
    must(fuzz->decoder->rows.row_count + fuzz->decoder->rejects.row_count == 1);
    decode_fuzz_check(fuzz);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct decode_fuzz *fuzz = decode_fuzz_get();
    if (size == 0)
        return 0;
    size_t choice = (uint8_t)(data[0] - '0') % CHOICES;
    if (choice < sizeof formats / sizeof *formats)
        split_file(fuzz, choice, data + 1, size - 1);
    else
        decode_record(fuzz, data + 1, size - 1);
    return 0;
}
