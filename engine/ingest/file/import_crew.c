/* Step 2 of a message's way, side by side: the messages of one window are decoded by several threads.
 *
 * Happy path: the messages that are whole in the stream's window are taken from it and decoded in pieces, each by a decoder
 * of its own, the first one by the import's; then the others' rows are moved behind its rows, in order; their texts stay
 * where they are until the frame is closed. Rows, rejects and positions are those of one thread; only frames close behind a
 * window instead of behind a message.
 * Failures: of memory. Of reading, when all that was read before has been decoded. What is not whole in the window, and
 * windows and frames too small to be worth a thread, are left to the caller. */
#include <stdlib.h>

#include "engine/base/helpers.h"
#include "engine/base/workers.h"
#include "engine/ingest/file/importer.h"

#define THREADS_MAX 4
#define PIECES_MAX (2 * THREADS_MAX) /* more than threads: one that starts late takes fewer */
#define WINDOW_BYTES ((size_t)1 << 20)
#define WINDOW_BYTES_MIN ((size_t)64 << 10)
#define MESSAGES_MAX 8192
#define MESSAGES_MIN 64
#define VALUE_BYTES 24 /* of memory, for a small one */

struct piece {
    struct aq_decoder *decoder;
    struct aq_json_decoder *json;
    struct aq_csv_decoder *csv;
    enum aq_status status;
    uint64_t reject_counts[AQ_REJECT_CLASS_COUNT];
};

struct aq_import_crew {
    struct aq_helpers *helpers;
    size_t piece_count;
    struct piece pieces[PIECES_MAX]; /* the first one's decoders are the import's */
    const struct aq_import *import;  /* of the present window */
    size_t held_bytes;               /* by the other pieces' decoders, roughly */
    enum aq_status read_status;      /* of reading ahead ... */
    struct aq_error read_error;      /* ... told when the window has been decoded */
    size_t message_count;
    struct aq_message messages[MESSAGES_MAX];
};

enum aq_status aq_import_crew_create(const struct aq_importer *importer,
                                     struct aq_import_crew **crew, struct aq_error *err)
{
    const struct aq_ingest_options *options = importer->options;
    struct aq_import_crew *made = calloc(1, sizeof *made);
    if (made == NULL)
        return aq_error_set(err, AQ_NO_MEMORY, "making decoders: out of memory");
    struct aq_workers online;
    aq_workers_init(&online, 0);
    unsigned thread_count = online.thread_count < THREADS_MAX ? online.thread_count : THREADS_MAX;
    made->piece_count = thread_count == 1 ? 1 : 2 * thread_count;
    made->helpers = aq_helpers_create(thread_count);
    enum aq_status status = AQ_OK;
    if (made->helpers == NULL)
        status = aq_error_set(err, AQ_NO_MEMORY, "making decoders: out of memory");
    for (size_t i = 1; i < made->piece_count && status == AQ_OK; i++) {
        struct piece *piece = &made->pieces[i];
        status = aq_decoder_create(options->dataset, importer->schema, importer->rejects,
                                   options->source_name, &piece->decoder, err);
        if (status == AQ_OK)
            status = aq_json_decoder_create(piece->decoder, &piece->json, err);
    }
    if (status < 0) {
        aq_import_crew_destroy(made);
        return status;
    }
    *crew = made;
    return AQ_OK;
}

void aq_import_crew_destroy(struct aq_import_crew *crew)
{
    if (crew == NULL)
        return;
    aq_helpers_destroy(crew->helpers);
    aq_import_crew_end(crew);
    for (size_t i = 1; i < crew->piece_count; i++) {
        aq_json_decoder_destroy(crew->pieces[i].json);
        aq_decoder_destroy(crew->pieces[i].decoder);
    }
    free(crew);
}

enum aq_status aq_import_crew_begin(struct aq_import_crew *crew, struct aq_slice header,
                                    struct aq_error *err)
{
    const char *notice; /* the import's own decoder has told it */
    for (size_t i = 1; i < crew->piece_count; i++)
        AQ_TRY(aq_csv_decoder_create(crew->pieces[i].decoder, header, &crew->pieces[i].csv, &notice,
                                     err));
    return AQ_OK;
}

void aq_import_crew_end(struct aq_import_crew *crew)
{
    crew->read_status = AQ_OK;
    for (size_t i = 1; i < crew->piece_count; i++) {
        aq_csv_decoder_destroy(crew->pieces[i].csv);
        crew->pieces[i].csv = NULL;
    }
}

void aq_import_crew_clear(struct aq_import_crew *crew)
{
    for (size_t i = 1; i < crew->piece_count; i++)
        aq_decoder_clear(crew->pieces[i].decoder);
    crew->held_bytes = 0;
}

size_t aq_import_crew_size_bytes(const struct aq_import_crew *crew)
{
    return crew->held_bytes;
}

/* A pipe is not waited for while there is something to decode. */
static void read_ahead(struct aq_import_crew *crew, struct aq_import *import)
{
    struct aq_stream *stream = &import->stream;
    if (stream->end - stream->begin >= WINDOW_BYTES / 2 ||
        aq_source_file_bytes_total(import->source) == 0)
        return;
    while (crew->read_status == AQ_OK && !stream->ended &&
           stream->end - stream->begin < WINDOW_BYTES)
        crew->read_status = aq_stream_fill(stream, &crew->read_error);
}

/* Messages of the window: so many, and of so many bytes, at most. */
static void gather(struct aq_import_crew *crew, struct aq_import *import, uint64_t room,
                   uint64_t count_max)
{
    uint64_t end = import->stream.offset + room;
    crew->message_count = 0;
    while (crew->message_count < count_max && import->stream.offset < end) {
        struct aq_message *message = &crew->messages[crew->message_count];
        if (aq_splitter_next_held(&import->splitter, message) != AQ_OK)
            break;
        crew->message_count += message->kind != AQ_MESSAGE_NONE;
    }
}

static void decode_piece(void *context, size_t index)
{
    struct aq_import_crew *crew = context;
    struct piece *piece = &crew->pieces[index];
    size_t first = crew->message_count * index / crew->piece_count;
    size_t end = crew->message_count * (index + 1) / crew->piece_count;
    piece->status = AQ_OK;
    for (size_t i = first; i < end && piece->status == AQ_OK; i++) {
        size_t reject_count = piece->decoder->rejects.row_count;
        piece->status = aq_import_decode(crew->import, piece->decoder, piece->json, piece->csv,
                                         crew->import->ordinal + i, &crew->messages[i]);
        if (piece->decoder->rejects.row_count > reject_count)
            piece->reject_counts[piece->decoder->reject_class]++;
    }
}

static enum aq_status join_pieces(struct aq_import_crew *crew, struct aq_import *import)
{
    struct aq_importer *importer = import->importer;
    crew->held_bytes = 0;
    for (size_t i = 0; i < crew->piece_count; i++) {
        struct piece *piece = &crew->pieces[i];
        AQ_TRY(piece->status);
        if (i > 0) {
            AQ_TRY(aq_decoder_move_rows(importer->decoder, piece->decoder));
            crew->held_bytes += aq_decoder_size_bytes(piece->decoder);
        }
        for (size_t class = 0; class < AQ_REJECT_CLASS_COUNT; class ++) {
            importer->watch.reject_counts[class] += piece->reject_counts[class];
            piece->reject_counts[class] = 0;
        }
    }
    import->ordinal += crew->message_count;
    return AQ_OK;
}

static enum aq_status decode_messages(struct aq_import_crew *crew, struct aq_import *import,
                                      struct aq_error *err)
{
    const struct aq_importer *importer = import->importer;
    crew->import = import;
    crew->pieces[0].decoder = importer->decoder;
    crew->pieces[0].json = importer->json;
    crew->pieces[0].csv = import->csv;
    for (size_t i = 1; i < crew->piece_count; i++)
        aq_decoder_set_feed(crew->pieces[i].decoder, import->feed.identity.feed_id,
                            import->feed.identity.stamp_us);
    const struct aq_executor *executor = aq_helpers_executor(crew->helpers);
    executor->run(executor->context, crew->piece_count, decode_piece, crew);
    if (join_pieces(crew, import) < 0)
        return aq_error_set(err, AQ_NO_MEMORY, "decoding %s: out of memory", import->path);
    return AQ_OK;
}

/* @return whether there are some. After a failure to read all that are there are taken, be they few. */
static bool find_messages(struct aq_import_crew *crew, struct aq_import *import)
{
    uint64_t room = aq_import_frame_room(import);
    uint64_t count_max = room / (VALUE_BYTES * import->importer->schema->column_count);
    if (crew->read_status == AQ_OK && (room < WINDOW_BYTES_MIN || count_max < MESSAGES_MIN))
        return false;
    read_ahead(crew, import);
    if (crew->read_status == AQ_OK && import->stream.end - import->stream.begin < WINDOW_BYTES_MIN)
        return false;
    count_max = count_max < MESSAGES_MIN ? MESSAGES_MIN : count_max;
    gather(crew, import, room, count_max > MESSAGES_MAX ? MESSAGES_MAX : count_max);
    return crew->message_count > 0;
}

enum aq_status aq_import_crew_take(struct aq_import *import, struct aq_error *err)
{
    struct aq_import_crew *crew = import->importer->crew;
    while (find_messages(crew, import)) {
        AQ_TRY(decode_messages(crew, import, err));
        AQ_TRY(aq_import_pace(import, 0, err));
    }
    if (crew->read_status < 0 && err != NULL)
        *err = crew->read_error;
    return crew->read_status;
}
