/* Reading marked nodes into structs: every fault names its place, what was found and what fits. */
#ifndef AQ_ENGINE_CONFIG_READ_H
#define AQ_ENGINE_CONFIG_READ_H

#include "engine/ingest/config.h"

struct aq_config_node;

/** One load of one config. @thread Its owner's. */
struct aq_config_reader {
    const char *name;   /* of the file, for messages */
    const char *folder; /* that relative paths start from; "" for the working directory */
    struct aq_arena *arena;
    struct aq_error *err;
};

/** AQ_INVALID with path "name:line:column". @return AQ_INVALID. */
enum aq_status aq_config_fail(struct aq_config_reader *reader, struct aq_config_mark mark,
                              const char *format, ...) AQ_PRINTF(3, 4);

/** `count` cleared elements of `size` bytes from the arena; NULL and AQ_NO_MEMORY in err. */
void *aq_config_alloc(struct aq_config_reader *reader, size_t count, size_t size);

/** A copy of `size` bytes of `text` as a string; NULL and AQ_NO_MEMORY in err. */
char *aq_config_copy(struct aq_config_reader *reader, const char *text, size_t size);

/** `path` as seen from the working directory: joined to the config's folder if relative. */
enum aq_status aq_config_locate(struct aq_config_reader *reader, const char *path,
                                const char **located) AQ_RESULT;

struct aq_config_field;
typedef enum aq_status aq_config_read(struct aq_config_reader *reader,
                                      const struct aq_config_node *node,
                                      const struct aq_config_field *field, void *to);

/** One key that a mapping may have, and where its value goes. */
struct aq_config_field {
    const char *name;
    aq_config_read *read;
    size_t offset;            /* of the value in the struct that is filled */
    uint64_t least;           /* sizes (bytes) and spans (us): the bounds */
    uint64_t most;            /* 0: no upper bound but the type's */
    const char *const *words; /* aq_config_read_word: those allowed, NULL at the end */
};

/**
 * Fill `target` from a mapping: unknown keys fail with the nearest known one, an absent key leaves its
 * value alone. `what` names the mapping in messages ("dataset \"air\"").
 */
enum aq_status aq_config_read_fields(struct aq_config_reader *reader,
                                     const struct aq_config_node *node, const char *what,
                                     const struct aq_config_field *fields, size_t field_count,
                                     void *target) AQ_RESULT;

/* Readers of one value; `to` points to the type named. */
aq_config_read aq_config_read_node;     /* const struct aq_config_node *, any kind but EMPTY */
aq_config_read aq_config_read_text;     /* const char *, not empty */
aq_config_read aq_config_read_word;     /* int: index into field->words */
aq_config_read aq_config_read_bool;     /* bool */
aq_config_read aq_config_read_size;     /* uint64_t, bytes */
aq_config_read aq_config_read_span;     /* int64_t, microseconds */
aq_config_read aq_config_read_schedule; /* struct aq_schedule; the bounds are those of a span */
aq_config_read aq_config_read_texts;    /* struct aq_config_texts: a text or a list of texts */

struct aq_config_texts {
    size_t count;
    const char **texts;
    struct aq_config_mark *marks;
};

/** "a, b, c" or, with a near one, the suggestion alone: the end of "unknown ...; ". */
const char *aq_config_suggest(struct aq_config_reader *reader, const char *word,
                              const char *const *words, size_t word_count);

/** Fail unless `node` is a mapping; `what` as in aq_config_read_fields. */
enum aq_status aq_config_expect_mapping(struct aq_config_reader *reader,
                                        const struct aq_config_node *node,
                                        const char *what) AQ_RESULT;

/** Characters in `size` bytes of UTF-8, as marks count them. */
size_t aq_config_characters(const char *text, size_t size);

/** Print the shortest exact form: "128MiB", "30d". Units are shared with the readers. */
void aq_config_print_size(uint64_t bytes, struct aq_bytes *out);
void aq_config_print_span(int64_t us, struct aq_bytes *out);

#endif
