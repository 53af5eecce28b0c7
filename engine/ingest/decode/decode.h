/* From messages to typed rows: what the JSON and the CSV decoder share.
 *
 * A decoder is compiled from a dataset's config and its recorded declaration. Each message fills one
 * field a path (JSON: along a trie; CSV: by the header); aq_decoder_settle then chooses, joins and types
 * the fields of every column and appends one row, or one reject with the reason. */
#ifndef AQ_ENGINE_INGEST_DECODE_H
#define AQ_ENGINE_INGEST_DECODE_H

#include "engine/base/civil/civil_time.h"
#include "engine/ingest/monitor.h"
#include "format/base/checksum.h"

/** The longest message that is decoded; a longer one is a reject of its first bytes. */
#define AQ_RECORD_BYTES_MAX ((size_t)16 << 20)
/** So many of its bytes. */
#define AQ_REJECT_HEAD_BYTES ((size_t)64 << 10)

enum aq_field_kind {
    AQ_FIELD_ABSENT,
    AQ_FIELD_NULL,
    AQ_FIELD_TEXT,
    AQ_FIELD_NUMBER, /* grammar checked */
    AQ_FIELD_BOOLEAN,
    AQ_FIELD_NESTED, /* object or array */
    AQ_FIELD_BYTES,  /* text that may not be UTF-8 */
    AQ_FIELD_TIME,   /* time_us counts; no text */
};

/** What a message holds at a path. */
struct aq_field {
    enum aq_field_kind kind;
    bool owned; /* text lies in the rows' arena, not in the message */
    int64_t time_us;
    struct aq_slice text; /* without quotes and escapes; for all but TEXT as written */
    struct aq_slice json; /* JSON text as written; CSV: empty */
};

struct aq_value {
    bool is_null;
    union {
        int64_t integer;
        double real;
        struct aq_slice slice;
    };
};

/** Where a column's value may come from. */
struct aq_column_origin {
    enum aq_path_kind kind;
    size_t field; /* index into fields; of all but TEMPLATE and REST */
    size_t part_count;
    struct aq_origin_part *parts; /* TEMPLATE */
    struct aq_slice path;         /* as written, for reasons */
};
struct aq_origin_part {
    struct aq_slice text; /* literal, when field is SIZE_MAX */
    size_t field;
};

enum aq_time_form { AQ_TIME_TEXT, AQ_TIME_PATTERN, AQ_TIME_EPOCH };

/** A column's config, made ready. */
struct aq_column_plan {
    const struct aq_column *column;
    const struct aq_column_config *config; /* NULL: hidden, always null */
    bool not_null;                         /* required, key or time */
    size_t origin_count;
    struct aq_column_origin *origins;
    enum aq_time_form time_form;
    int64_t epoch_us; /* EPOCH: microseconds in its unit */
    const char *pattern;
    const struct aq_zone *zone;
    struct aq_value default_value;
    struct aq_json_index *json_index; /* the decoder's */
};

struct aq_kafka_message;
struct aq_when;

struct aq_decoder {
    const struct aq_schema *schema;
    const struct aq_dataset_config *config;
    struct aq_column_plan *plans; /* schema->column_count */
    size_t field_count;
    size_t field_capacity;
    const struct aq_path **paths; /* of the fields */
    struct aq_field *fields;      /* of the present message */
    size_t column_field_count;    /* those before it serve columns, the others `when` alone */
    size_t special_count;
    size_t *specials; /* fields whose paths do not lead into the message's value */
    bool has_kafka;   /* messages come from Kafka ... */
    const struct aq_kafka_message *message; /* ... and this is the present one */
    char numbers[2][24];                    /* its partition and offset, as texts */
    bool wants_rest;
    struct aq_field rest;
    struct aq_batch rows;       /* declared + system columns, as decoded */
    struct aq_batch rejects;    /* the same for the rejects dataset */
    const struct aq_when *when; /* NULL: every message becomes a row */
    size_t *when_fields;        /* of its paths */
    struct aq_slice source;
    uint64_t feed_id;
    int64_t stamp_us;
    uint64_t unknown_field_count;
    enum aq_reject_class reject_class; /* of the newest reject */
    struct aq_value *values;           /* of the present row */
    struct aq_bytes scratch;           /* joined texts */
    struct aq_json_index *json_index;
    struct aq_arena arena; /* plans */
};

/**
 * @param config   Must outlive the decoder, as must both schemas and `source`.
 * @param schema   The dataset as recorded in the catalog; columns are matched by name.
 * @return AQ_INVALID for a default, zone or format that cannot be taken, with its place.
 * @thread One at a time per decoder; as for all below.
 */
enum aq_status aq_decoder_create(const struct aq_dataset_config *config,
                                 const struct aq_schema *schema, const struct aq_schema *rejects,
                                 const char *source, struct aq_decoder **decoder,
                                 struct aq_error *err) AQ_RESULT;
void aq_decoder_destroy(struct aq_decoder *decoder);
/** What the system columns of the following rows say. */
void aq_decoder_set_feed(struct aq_decoder *decoder, uint64_t feed_id, int64_t stamp_us);
/** Forget rows and rejects, keep memory. */
void aq_decoder_clear(struct aq_decoder *decoder);
/** Move the rows and rejects of `from`, a decoder of the same dataset, behind those of `decoder`, and what it counted. Their
 * texts stay where they are until `from` is cleared. */
enum aq_status aq_decoder_move_rows(struct aq_decoder *decoder, struct aq_decoder *from) AQ_RESULT;
/** Bytes that the rows and rejects so far hold, roughly. */
size_t aq_decoder_size_bytes(const struct aq_decoder *decoder);

/** The field of a path that names one value, made if there is none; `path` must outlive the decoder. */
enum aq_status aq_decoder_add_path(struct aq_decoder *decoder, const struct aq_path *path,
                                   size_t *field) AQ_RESULT;
/** Before each message: all fields absent but those that do not lead into its value. */
void aq_decoder_begin(struct aq_decoder *decoder);
/** Whether `when` takes the present message. */
bool aq_decoder_accepts(const struct aq_decoder *decoder);
/** One row, or one reject of `message`, from the fields; nothing if `when` refuses it. Fails with
 * AQ_NO_MEMORY only. */
enum aq_status aq_decoder_settle(struct aq_decoder *decoder, uint64_t ordinal,
                                 struct aq_slice message) AQ_RESULT;
/** One reject of `message`; the reason is cut at 1,024 bytes. */
enum aq_status aq_decoder_reject(struct aq_decoder *decoder, enum aq_reject_class reject_class,
                                 uint64_t ordinal, struct aq_slice message, const char *format,
                                 ...) AQ_RESULT AQ_PRINTF(5, 6);

/** Why a message of `size` bytes with this hash is too long; `reason` has room for 192 bytes. */
void aq_long_message_reason(uint64_t size, const struct aq_hash128 *hash, char *reason,
                            size_t reason_size);

/** Type a field that is neither absent nor null. AQ_REJECT with what is wrong in `reason`. */
#define AQ_REASON_BYTES_MAX 1024
enum aq_status aq_value_convert(const struct aq_column_plan *plan, const struct aq_field *field,
                                struct aq_arena *arena, struct aq_value *value,
                                char *reason) AQ_RESULT;

/** JSON messages: parser and paths of one decoder. */
struct aq_json_decoder;
enum aq_status aq_json_decoder_create(struct aq_decoder *decoder, struct aq_json_decoder **json,
                                      struct aq_error *err) AQ_RESULT;
void aq_json_decoder_destroy(struct aq_json_decoder *json);
/** One message: a row or a reject, or nothing if `when` refuses it. Fails with AQ_NO_MEMORY only. */
enum aq_status aq_json_decode(struct aq_json_decoder *json, uint64_t ordinal,
                              struct aq_slice message) AQ_RESULT;

/** CSV records: the header of one file. */
struct aq_csv_decoder;
/**
 * @param header  The file's first record, without its line end.
 * @param notice  Set to a message (in the arena of the result) about columns that the header lacks and
 *                that will be null, or NULL.
 * @return AQ_INVALID naming the header's columns when a column that may not be null is not among them
 * and has no default, or the header itself is malformed.
 */
enum aq_status aq_csv_decoder_create(struct aq_decoder *decoder, struct aq_slice header,
                                     struct aq_csv_decoder **csv, const char **notice,
                                     struct aq_error *err) AQ_RESULT;
void aq_csv_decoder_destroy(struct aq_csv_decoder *csv);
enum aq_status aq_csv_decode(struct aq_csv_decoder *csv, uint64_t ordinal,
                             struct aq_slice record) AQ_RESULT;
/** A record that was split into fields already, one a column of the header; a reject has no bytes. */
enum aq_status aq_csv_decode_fields(struct aq_csv_decoder *csv, uint64_t ordinal,
                                    const struct aq_field *fields) AQ_RESULT;
/** Append `text`, which is UTF-8, as a JSON string. */
void aq_json_append_text(struct aq_slice text, struct aq_bytes *out);
/** Append a field as a JSON value: bytes as the text "\\x4142", what has no JSON of its own as a string. */
void aq_field_append_json(const struct aq_field *field, struct aq_bytes *out);
/** The same for a record that is not all of the message that a reject keeps. */
enum aq_status aq_csv_decode_of(struct aq_csv_decoder *csv, uint64_t ordinal,
                                struct aq_slice record, struct aq_slice message) AQ_RESULT;

#endif
