/* CSV in Kafka messages.
 *
 * Happy path: a message is one record. Its fields are, in order, what the columns of the config take
 * from the value: of each column its first path that leads there. If a line stands before the record it
 * is the header and names the fields, as in a file; the last header is kept ready.
 * Failures: a header that does not serve, or more than one record behind it, makes the message a reject. */
#include "engine/ingest/decode/message_csv.h"

#include <stdlib.h>

struct aq_message_csv {
    struct aq_decoder *decoder;
    struct aq_csv_decoder *plain;  /* records without a header */
    struct aq_csv_decoder *headed; /* those behind `header`; NULL: none is kept */
    struct aq_bytes header;
};

/* Names already in the header. */
struct names {
    struct aq_arena *arena;
    struct aq_slice *slices;
    size_t count;
    size_t capacity;
};

static enum aq_status add_name(struct names *names, struct aq_slice name)
{
    for (size_t i = 0; i < names->count; i++)
        if (aq_slice_equal(names->slices[i], name))
            return AQ_OK;
    if (names->count == names->capacity) {
        size_t capacity = names->capacity == 0 ? 16 : 2 * names->capacity;
        struct aq_slice *slices = aq_arena_alloc(names->arena, capacity * sizeof *slices);
        if (slices == NULL)
            return AQ_NO_MEMORY;
        for (size_t i = 0; i < names->count; i++)
            slices[i] = names->slices[i];
        names->slices = slices;
        names->capacity = capacity;
    }
    names->slices[names->count++] = name;
    return AQ_OK;
}

/* Of a path that leads into the value its name, of a template those of its parts. */
static enum aq_status add_path(struct names *names, const struct aq_path *path, bool *found)
{
    *found = path->kind == AQ_PATH_VALUE;
    if (*found)
        return add_name(names, path->text);
    for (size_t i = 0; i < path->part_count; i++) {
        const struct aq_path *part = path->parts[i].path;
        if (part == NULL || part->kind != AQ_PATH_VALUE)
            continue;
        *found = true;
        AQ_TRY(add_name(names, part->text));
    }
    return AQ_OK;
}

static void append_quoted(struct aq_bytes *header, struct aq_slice name)
{
    aq_bytes_u8(header, '"');
    for (size_t i = 0; i < name.size; i++) {
        if (name.data[i] == '"')
            aq_bytes_u8(header, '"');
        aq_bytes_u8(header, name.data[i]);
    }
    aq_bytes_u8(header, '"');
}

/* The header that the config stands for. */
static enum aq_status write_header(const struct aq_decoder *decoder, struct aq_arena *arena,
                                   struct aq_bytes *header)
{
    struct names names = {.arena = arena};
    for (size_t i = 0; i < decoder->config->schema.column_count; i++) {
        const struct aq_column_config *column = &decoder->config->columns[i];
        bool found = false;
        for (size_t at = 0; at < column->from_count && !found; at++)
            AQ_TRY(add_path(&names, &column->from[at], &found));
    }
    for (size_t i = 0; i < names.count; i++) {
        if (i > 0)
            aq_bytes_u8(header, ',');
        append_quoted(header, names.slices[i]);
    }
    return aq_bytes_status(header);
}

enum aq_status aq_message_csv_create(struct aq_decoder *decoder, struct aq_message_csv **csv,
                                     struct aq_error *err)
{
    struct aq_arena arena = {0};
    struct aq_bytes header = {0};
    const char *notice;
    struct aq_message_csv *made = calloc(1, sizeof *made);
    enum aq_status status = made == NULL ? AQ_NO_MEMORY : write_header(decoder, &arena, &header);
    if (status < 0)
        aq_error_set(err, status, "making a CSV decoder: out of memory");
    else
        status = aq_csv_decoder_create(decoder, aq_bytes_view(&header), &made->plain, &notice, err);
    aq_arena_deinit(&arena);
    aq_bytes_deinit(&header);
    if (status < 0) {
        aq_message_csv_destroy(made);
        return status;
    }
    made->decoder = decoder;
    *csv = made;
    return AQ_OK;
}

void aq_message_csv_destroy(struct aq_message_csv *csv)
{
    if (csv == NULL)
        return;
    aq_csv_decoder_destroy(csv->plain);
    aq_csv_decoder_destroy(csv->headed);
    aq_bytes_deinit(&csv->header);
    free(csv);
}

static struct aq_slice without_line_end(struct aq_slice text)
{
    if (text.size > 0 && text.data[text.size - 1] == '\n')
        text.size--;
    if (text.size > 0 && text.data[text.size - 1] == '\r')
        text.size--;
    return text;
}

/* Where the first line feed outside of quotes stands, or text.size. */
static size_t find_line_end(struct aq_slice text)
{
    bool quoted = false;
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] == '"')
            quoted = !quoted;
        else if (text.data[i] == '\n' && !quoted)
            return i;
    }
    return text.size;
}

/* Make `header` the one that is kept. AQ_INVALID where it cannot serve. */
static enum aq_status take_header(struct aq_message_csv *csv, struct aq_slice header,
                                  struct aq_error *err)
{
    const char *notice;
    if (csv->headed != NULL && aq_slice_equal(aq_bytes_view(&csv->header), header))
        return AQ_OK;
    aq_csv_decoder_destroy(csv->headed);
    csv->headed = NULL;
    aq_bytes_clear(&csv->header);
    aq_bytes_append(&csv->header, header.data, header.size);
    AQ_TRY(aq_bytes_status(&csv->header));
    return aq_csv_decoder_create(csv->decoder, header, &csv->headed, &notice, err);
}

enum aq_status aq_message_csv_decode(struct aq_message_csv *csv, uint64_t ordinal,
                                     struct aq_slice message)
{
    struct aq_error err = {0};
    struct aq_slice text = without_line_end(message);
    size_t end = find_line_end(text);
    if (end == text.size)
        return aq_csv_decode_of(csv->plain, ordinal, text, message);
    struct aq_slice record = aq_slice_make(text.data + end + 1, text.size - end - 1);
    enum aq_status status =
        take_header(csv, without_line_end(aq_slice_make(text.data, end + 1)), &err);
    if (status == AQ_NO_MEMORY)
        return status;
    if (status < 0)
        return aq_decoder_reject(csv->decoder, AQ_REJECT_SYNTAX, ordinal, message, "%s",
                                 err.message);
    if (find_line_end(record) < record.size)
        return aq_decoder_reject(csv->decoder, AQ_REJECT_SYNTAX, ordinal, message,
                                 "more than one record behind the header: a message is one");
    return aq_csv_decode_of(csv->headed, ordinal, record, message);
}
