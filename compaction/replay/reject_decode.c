/* One refused message at a time, by the decoder that its source has now.
 *
 * Happy path: the first reject of a source makes a decoder as the source's config says: a Kafka source's, by
 * its format and `when:`, or a file's. The message is decoded as it was when it came, with its ordinal and
 * its stamp.
 * Failures: what was not kept cannot be made up: a message of which only the beginning is there, a column
 * that takes the key of a message, a CSV record without its header stay rejects, with the reason. So do those that
 * `when:` refuses by now: they would be nowhere. */
#include "compaction/replay/reject_decode.h"

#include <stdio.h>
#include <stdlib.h>

#include "engine/ingest/decode/message.h"

/* A source's way from rejects to rows. */
struct reader {
    char *source; /* its name */
    bool is_kafka;
    const char *refusal; /* none of its messages can be decoded, and why; NULL: they can */
    struct aq_decoder *decoder;
    struct aq_message_decoder *messages; /* Kafka */
    struct aq_json_decoder *json;        /* files; so is the next one */
    struct aq_csv_decoder *csv;
    bool guessed; /* nobody says that these are JSON */
    bool is_raw;
};

struct aq_reject_decoder {
    const struct aq_replay_options *options;
    const struct aq_schema *schema;
    const struct aq_schema *rejects;
    struct reader **readers;
    size_t reader_count;
    char why[AQ_REASON_BYTES_MAX + 128];
};

enum aq_status aq_reject_decoder_create(const struct aq_replay_options *options,
                                        const struct aq_schema *schema,
                                        const struct aq_schema *rejects,
                                        struct aq_reject_decoder **decoder, struct aq_error *err)
{
    *decoder = calloc(1, sizeof **decoder);
    if (*decoder == NULL)
        return aq_error_set(err, AQ_NO_MEMORY, "out of memory");
    (*decoder)->options = options;
    (*decoder)->schema = schema;
    (*decoder)->rejects = rejects;
    return AQ_OK;
}

static void destroy_reader(struct reader *reader)
{
    if (reader == NULL)
        return;
    aq_message_decoder_destroy(reader->messages);
    aq_json_decoder_destroy(reader->json);
    aq_csv_decoder_destroy(reader->csv);
    aq_decoder_destroy(reader->decoder);
    free(reader->source);
    free(reader);
}

void aq_reject_decoder_destroy(struct aq_reject_decoder *decoder)
{
    if (decoder == NULL)
        return;
    for (size_t i = 0; i < decoder->reader_count; i++)
        destroy_reader(decoder->readers[i]);
    free(decoder->readers);
    free(decoder);
}

static const struct aq_source_config *find_source(const struct aq_replay_options *options,
                                                  const struct reader *reader)
{
    for (size_t i = 0; i < options->config->source_count; i++) {
        const struct aq_source_config *source = &options->config->sources[i];
        if (strcmp(source->name, reader->source) == 0 && source->is_kafka == reader->is_kafka &&
            strcmp(source->dataset, options->dataset->schema.dataset) == 0)
            return source;
    }
    return NULL;
}

/* Of a message, a reject holds the value alone. */
static bool takes_what_is_not_kept(const struct aq_decoder *decoder)
{
    for (size_t i = 0; i < decoder->field_count; i++)
        if (decoder->paths[i]->kind == AQ_PATH_KAFKA_KEY ||
            decoder->paths[i]->kind == AQ_PATH_KAFKA_HEADER)
            return true;
    return false;
}

static enum aq_status open_kafka(struct reader *reader, const struct aq_source_config *source,
                                 struct aq_error *err)
{
    if (source == NULL) {
        reader->refusal = "its source is no Kafka source of the config for this dataset (any more)";
        return AQ_OK;
    }
    reader->is_raw = source->format == AQ_FORMAT_RAW;
    AQ_TRY(aq_message_decoder_create(reader->decoder, source, &reader->messages, err));
    if (takes_what_is_not_kept(reader->decoder))
        reader->refusal = "keys and headers of messages are not kept with rejects, and a column or "
                          "`when:` takes one (kafka.key, kafka.headers)";
    return AQ_OK;
}

static bool ends_in_csv(const struct aq_source_config *source)
{
    for (size_t i = 0; source != NULL && i < source->file_count; i++)
        if (strstr(source->files[i], ".csv") != NULL)
            return true;
    return false;
}

static enum aq_status open_files(const struct aq_replay_options *options, struct reader *reader,
                                 const struct aq_source_config *source, struct aq_error *err)
{
    enum aq_source_format format = source != NULL ? source->format : AQ_FORMAT_AUTO;
    const char *notice = NULL;
    if (format == AQ_FORMAT_AUTO)
        format = options->format;
    if (format == AQ_FORMAT_AUTO && (options->header != NULL || ends_in_csv(source)))
        format = AQ_FORMAT_CSV;
    reader->guessed = format == AQ_FORMAT_AUTO;
    if (format != AQ_FORMAT_CSV)
        return aq_json_decoder_create(reader->decoder, &reader->json, err);
    if (options->header == NULL) {
        reader->refusal = "the header of its CSV file is not kept with rejects; give the file's "
                          "first line with --header";
        return AQ_OK;
    }
    return aq_csv_decoder_create(reader->decoder, aq_slice_of(options->header), &reader->csv,
                                 &notice, err);
}

static enum aq_status open_reader(struct aq_reject_decoder *decoder, struct reader *reader,
                                  const struct aq_reject *reject, struct aq_error *err)
{
    const struct aq_replay_options *options = decoder->options;
    reader->is_kafka = reject->has_partition;
    reader->source = strndup((const char *)reject->source.data, reject->source.size);
    if (reader->source == NULL)
        return aq_error_set(err, AQ_NO_MEMORY, "out of memory");
    AQ_TRY(aq_decoder_create(options->dataset, decoder->schema, decoder->rejects, reader->source,
                             &reader->decoder, err));
    const struct aq_source_config *source = find_source(options, reader);
    return reader->is_kafka ? open_kafka(reader, source, err)
                            : open_files(options, reader, source, err);
}

static enum aq_status find_reader(struct aq_reject_decoder *decoder, const struct aq_reject *reject,
                                  struct reader **found, struct aq_error *err)
{
    for (size_t i = 0; i < decoder->reader_count; i++) {
        *found = decoder->readers[i];
        if ((*found)->is_kafka == reject->has_partition &&
            aq_slice_equal(aq_slice_of((*found)->source), reject->source))
            return AQ_OK;
    }
    size_t room = decoder->reader_count + 1;
    struct reader **readers = realloc(decoder->readers, room * sizeof(struct reader *));
    if (readers == NULL)
        return aq_error_set(err, AQ_NO_MEMORY, "out of memory");
    decoder->readers = readers;
    struct reader *reader = calloc(1, sizeof *reader);
    if (reader == NULL)
        return aq_error_set(err, AQ_NO_MEMORY, "out of memory");
    enum aq_status status = open_reader(decoder, reader, reject, err);
    if (status < 0) {
        destroy_reader(reader);
        return status;
    }
    decoder->readers[decoder->reader_count++] = reader;
    *found = reader;
    return AQ_OK;
}

/* Whether only the first bytes of the message are there: its reason says so. */
static bool is_cut(const struct aq_reject *reject)
{
    char start[64];
    snprintf(start, sizeof start, "longer than %zu MiB: ", AQ_RECORD_BYTES_MAX >> 20);
    size_t size = strlen(start);
    return reject->reason.size > size && memcmp(reject->reason.data, start, size) == 0;
}

static enum aq_status decode(struct reader *reader, const struct aq_reject *reject,
                             enum aq_decoded *what)
{
    struct aq_decoder *decoder = reader->decoder;
    enum aq_reject_class class;
    if (reader->is_kafka) {
        struct aq_kafka_message message = {.value = reject->bytes,
                                           .partition = reject->partition,
                                           .offset = reject->offset,
                                           .timestamp_us = reject->arrival_us};
        return aq_message_decode(reader->messages, &message, what, &class);
    }
    size_t before = decoder->rows.row_count;
    aq_decoder_set_feed(decoder, 0, reject->arrival_us);
    AQ_TRY(reader->csv != NULL ? aq_csv_decode(reader->csv, reject->offset, reject->bytes)
                               : aq_json_decode(reader->json, reject->offset, reject->bytes));
    *what = decoder->rows.row_count > before ? AQ_DECODED_ROW : AQ_DECODED_REJECT;
    return AQ_OK;
}

/* The reason of the reject that decoding has just made. */
static void take_reason(struct aq_reject_decoder *decoder, const struct reader *reader)
{
    const struct aq_batch *rejects = &reader->decoder->rejects;
    struct aq_slice reason = {0};
    if (rejects->row_count > 0)
        reason = rejects->columns[AQ_REJECT_REASON].slices[rejects->row_count - 1];
    snprintf(decoder->why, sizeof decoder->why, "%.*s%s", (int)reason.size,
             reason.size > 0 ? (const char *)reason.data : "",
             reader->guessed ? " (read as JSON; if it is CSV, give its file's first line with "
                               "--header)"
                             : "");
}

static enum aq_status decode_by(struct aq_reject_decoder *decoder, struct reader *reader,
                                const struct aq_reject *reject, bool *passed, const char **why)
{
    enum aq_decoded what = AQ_DECODED_REJECT;
    AQ_TRY(decode(reader, reject, &what));
    *passed = what == AQ_DECODED_ROW;
    if (what == AQ_DECODED_REJECT)
        take_reason(decoder, reader);
    *why = what == AQ_DECODED_PASSED ? "passed over by the source's `when:`" : decoder->why;
    aq_batch_clear(&reader->decoder->rejects);
    return AQ_OK;
}

enum aq_status aq_reject_decode(struct aq_reject_decoder *decoder, const struct aq_reject *reject,
                                bool *passed, struct aq_slice *why, struct aq_error *err)
{
    struct reader *reader = NULL;
    const char *text = NULL;
    *passed = false;
    AQ_TRY(find_reader(decoder, reject, &reader, err));
    if (is_cut(reject)) {
        text = "only its beginning is kept: it was too long";
    } else if (reader->refusal != NULL) {
        text = reader->refusal;
    } else if (reader->is_raw && reject->bytes.size == 0) {
        text = "whether its value was empty or null is not kept";
    } else {
        enum aq_status status = decode_by(decoder, reader, reject, passed, &text);
        if (status < 0)
            return aq_error_set(err, status, "out of memory");
    }
    *why = aq_slice_of(text);
    return AQ_OK;
}

size_t aq_reject_decoder_batch_count(const struct aq_reject_decoder *decoder)
{
    return decoder->reader_count;
}

void aq_reject_decoder_batches(const struct aq_reject_decoder *decoder,
                               const struct aq_batch **batches)
{
    for (size_t i = 0; i < decoder->reader_count; i++)
        batches[i] = &decoder->readers[i]->decoder->rows;
}

size_t aq_reject_decoder_size_bytes(const struct aq_reject_decoder *decoder)
{
    size_t size = 0;
    for (size_t i = 0; i < decoder->reader_count; i++)
        size += aq_decoder_size_bytes(decoder->readers[i]->decoder);
    return size;
}

void aq_reject_decoder_clear(struct aq_reject_decoder *decoder)
{
    for (size_t i = 0; i < decoder->reader_count; i++)
        aq_decoder_clear(decoder->readers[i]->decoder);
}
