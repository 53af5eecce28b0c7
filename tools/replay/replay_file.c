/* A file as messages for a topic.
 *
 * Happy path: the file is split as an import splits it; lines and JSON values are sent as they are, CSV
 * records as objects of the header's names, or as they are behind their header. Both the object and the
 * key are what the store's own decoder makes of the record: a dataset of one column, `"*"` or the key's
 * path. So a topic says what an import would have read.
 * Failures: what import would reject is sent all the same if it can be a message; else it is counted. */
#include "tools/replay/replay_file.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "engine/ingest/decode/decode.h"
#include "engine/ingest/file/file_identity.h"
#include "format/base/arena.h"

struct aq_replay_pick {
    struct aq_config *config;
    struct aq_schema rejects;
    struct aq_arena arena;
    struct aq_decoder *decoder;
    struct aq_json_decoder *json;
    struct aq_csv_decoder *csv;
};

/* A config of one column with the path, in single quotes. */
static enum aq_status parse_config(const char *path, const char *type, struct aq_config **config,
                                   struct aq_error *err)
{
    struct aq_bytes text = {0};
    aq_bytes_chars(&text, "datasets: {m: {columns: {c: {type: ");
    aq_bytes_chars(&text, type);
    aq_bytes_chars(&text, ", from: '");
    for (const char *at = path; *at != '\0'; at++) {
        if (*at == '\'' || (*at == '$' && at[1] == '{'))
            aq_bytes_u8(&text, (uint8_t)*at);
        aq_bytes_u8(&text, (uint8_t)*at);
    }
    aq_bytes_chars(&text, "'}}}}\n");
    enum aq_status status = aq_bytes_status(&text);
    if (status >= 0)
        status = aq_config_parse("", aq_bytes_view(&text), config, err);
    aq_bytes_deinit(&text);
    return status;
}

enum aq_status aq_replay_check_key(const char *path, struct aq_error *err)
{
    struct aq_config *config = NULL;
    struct aq_error why = {0};
    enum aq_status status = parse_config(path, "text", &config, &why);
    aq_config_destroy(config);
    if (status == AQ_OK)
        return AQ_OK;
    return aq_error_set(err, status, "--key: %s", why.message);
}

static void close_pick(struct aq_replay_pick *pick)
{
    if (pick == NULL)
        return;
    aq_json_decoder_destroy(pick->json);
    aq_csv_decoder_destroy(pick->csv);
    aq_decoder_destroy(pick->decoder);
    aq_config_destroy(pick->config);
    aq_arena_deinit(&pick->arena);
    free(pick);
}

static enum aq_status open_pick(const char *path, const char *type, bool csv,
                                struct aq_slice header, struct aq_replay_pick **made,
                                struct aq_error *err)
{
    const char *notice;
    struct aq_replay_pick *pick = *made = calloc(1, sizeof *pick);
    if (pick == NULL)
        return aq_error_set(err, AQ_NO_MEMORY, "out of memory");
    AQ_TRY(parse_config(path, type, &pick->config, err));
    const struct aq_dataset_config *dataset = &pick->config->datasets[0];
    AQ_TRY(aq_schema_rejects(&dataset->schema, 2, &pick->arena, &pick->rejects));
    AQ_TRY(aq_decoder_create(dataset, &dataset->schema, &pick->rejects, "replay", &pick->decoder,
                             err));
    if (csv)
        return aq_csv_decoder_create(pick->decoder, header, &pick->csv, &notice, err);
    return aq_json_decoder_create(pick->decoder, &pick->json, err);
}

/* What the path finds; data NULL where it is nothing. Borrowed until the next call. */
static enum aq_status take(struct aq_replay_pick *pick, struct aq_slice record,
                           struct aq_slice *found)
{
    struct aq_decoder *decoder = pick->decoder;
    *found = (struct aq_slice){0};
    aq_decoder_clear(decoder);
    AQ_TRY(pick->csv != NULL ? aq_csv_decode(pick->csv, 0, record)
                             : aq_json_decode(pick->json, 0, record));
    if (decoder->rows.row_count == 1 && !aq_vector_is_null(&decoder->rows.columns[0], 0))
        *found = decoder->rows.columns[0].slices[0];
    return AQ_OK;
}

static enum aq_status read_header(struct aq_replay_file *file, struct aq_slice *header,
                                  struct aq_error *err)
{
    struct aq_message message = {0};
    enum aq_status status = AQ_OK;
    do {
        status = aq_splitter_next(&file->splitter, &message, err);
    } while (status == AQ_OK && message.kind == AQ_MESSAGE_NONE);
    if (status == AQ_END || message.kind == AQ_MESSAGE_BROKEN)
        return aq_error_set(err, AQ_INVALID, "no header: %s",
                            status == AQ_END ? "it is empty" : message.reason);
    *header = message.bytes;
    if (!file->options->as_csv)
        return status;
    aq_bytes_append(&file->value, header->data, header->size);
    aq_bytes_u8(&file->value, '\n');
    file->header_size = file->value.size;
    return status < 0 ? status : aq_bytes_status(&file->value);
}

static enum aq_status open_key(struct aq_replay_file *file, struct aq_slice header,
                               struct aq_error *err)
{
    struct aq_error why = {0};
    enum aq_status status = open_pick(file->options->key, "text", file->format == AQ_FORMAT_CSV,
                                      header, &file->key, &why);
    if (status < 0)
        return aq_error_set(err, status, "--key %s: %s", file->options->key, why.message);
    return AQ_OK;
}

static enum aq_status start(struct aq_replay_file *file, const char *path, const atomic_bool *stop,
                            struct aq_error *err)
{
    struct aq_slice header = {0};
    AQ_TRY(aq_source_file_open(path, -1, stop, &file->source, err));
    AQ_TRY(aq_stream_init(&file->stream, file->source, err));
    AQ_TRY(aq_stream_rewind(&file->stream, true, err)); /* once is enough: keep nothing of a pipe */
    file->format = file->options->format;
    if (file->format == AQ_FORMAT_AUTO)
        AQ_TRY(aq_format_detect(aq_file_name_of(path), &file->stream, &file->format, err));
    if (file->format == AQ_FORMAT_PARQUET)
        return aq_error_set_at(err, AQ_UNSUPPORTED, path, -1,
                               "is Parquet, which has no messages: export it as NDJSON first");
    aq_splitter_init(&file->splitter, &file->stream, file->format);
    bool csv = file->format == AQ_FORMAT_CSV;
    if (csv)
        AQ_TRY(read_header(file, &header, err));
    if (csv && !file->options->as_csv)
        AQ_TRY(open_pick("*", "json", csv, header, &file->row, err));
    return file->options->key == NULL ? AQ_OK : open_key(file, header, err);
}

enum aq_status aq_replay_open(struct aq_replay_file *file, const char *path,
                              const struct aq_replay_options *options, const atomic_bool *stop,
                              struct aq_error *err)
{
    *file = (struct aq_replay_file){.options = options};
    enum aq_status status = start(file, path, stop, err);
    if (status < 0) {
        aq_replay_close(file);
        return aq_error_locate(err, status, path, -1);
    }
    return AQ_OK;
}

void aq_replay_close(struct aq_replay_file *file)
{
    close_pick(file->key);
    close_pick(file->row);
    aq_bytes_deinit(&file->value);
    aq_splitter_deinit(&file->splitter);
    aq_stream_deinit(&file->stream);
    if (file->source != NULL)
        aq_source_file_close(file->source);
    *file = (struct aq_replay_file){0};
}

static enum aq_status next_record(struct aq_replay_file *file, struct aq_slice *record,
                                  struct aq_error *err)
{
    for (;;) {
        struct aq_message message;
        enum aq_status status = aq_splitter_next(&file->splitter, &message, err);
        if (status != AQ_OK)
            return status;
        *record = message.bytes;
        if (message.kind == AQ_MESSAGE_WHOLE)
            return AQ_OK;
        file->skipped_count += message.kind == AQ_MESSAGE_BROKEN;
    }
}

static enum aq_status make_value(struct aq_replay_file *file, struct aq_slice record,
                                 struct aq_slice *value)
{
    *value = record;
    if (file->row != NULL)
        return take(file->row, record, value);
    if (file->header_size == 0)
        return AQ_OK;
    file->value.size = file->header_size;
    aq_bytes_append(&file->value, record.data, record.size);
    *value = aq_bytes_view(&file->value);
    return aq_bytes_status(&file->value);
}

enum aq_status aq_replay_next(struct aq_replay_file *file, struct aq_slice *value,
                              struct aq_slice *key, struct aq_error *err)
{
    for (;;) {
        struct aq_slice record;
        enum aq_status status = next_record(file, &record, err);
        if (status != AQ_OK)
            return status;
        *key = (struct aq_slice){0};
        status = make_value(file, record, value);
        if (status == AQ_OK && file->key != NULL)
            status = take(file->key, record, key);
        if (status < 0)
            return aq_error_set(err, status, "out of memory");
        if (value->data != NULL)
            return AQ_OK;
        file->skipped_count++;
    }
}
