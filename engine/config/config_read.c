/*
 * Nodes -> typed values.
 *
 * Happy path: a mapping's entries are looked up in a table of fields, and each field's reader checks
 * the node's kind, parses its text and stores the value.
 *
 * Failures: an unknown key, a value of another kind, a word that is not in its list, a size or span
 * without or with an odd unit or out of bounds. Each names what was found and what was expected.
 */
#include "engine/config/config_read.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "engine/config/config_node.h"
#include "format/base/arena.h"
#include "format/table/nearest.h"

#define US_PER_MINUTE (60 * AQ_US_PER_SECOND)

struct unit {
    const char *name;
    uint64_t factor;
};

/* Largest first, so that printing finds the shortest form. Decimal units are read, not printed. */
static const struct unit size_units[] = {
    {"TiB", UINT64_C(1) << 40},
    {"GiB", UINT64_C(1) << 30},
    {"MiB", UINT64_C(1) << 20},
    {"KiB", UINT64_C(1) << 10},
    {"B", 1},
};
static const struct unit decimal_units[] = {
    {"TB", UINT64_C(1000000000000)},
    {"GB", 1000000000},
    {"MB", 1000000},
    {"kB", 1000},
};
/* A year is 365 days: spans are lengths, not calendar dates. */
static const struct unit span_units[] = {
    {"y", 365 * (uint64_t)AQ_US_PER_DAY},
    {"w", 7 * (uint64_t)AQ_US_PER_DAY},
    {"d", (uint64_t)AQ_US_PER_DAY},
    {"h", (uint64_t)AQ_US_PER_HOUR},
    {"m", (uint64_t)US_PER_MINUTE},
    {"s", (uint64_t)AQ_US_PER_SECOND},
    {"ms", 1000},
    {"us", 1},
};

#define COUNT_OF(array) (sizeof(array) / sizeof(array)[0])

enum aq_status aq_config_fail(struct aq_config_reader *reader, struct aq_config_mark mark,
                              const char *format, ...)
{
    if (reader->err == NULL)
        return AQ_INVALID;
    char message[AQ_ERROR_MESSAGE_MAX];
    va_list args;
    va_start(args, format);
    vsnprintf(message, sizeof message, format, args);
    va_end(args);
    char path[AQ_ERROR_PATH_MAX];
    snprintf(path, sizeof path, "%.200s:%d:%d", reader->name, mark.line, mark.column);
    return aq_error_set_at(reader->err, AQ_INVALID, path, -1, "%s", message);
}

void *aq_config_alloc(struct aq_config_reader *reader, size_t count, size_t size)
{
    void *memory = aq_arena_alloc(reader->arena, count * size);
    if (memory == NULL)
        aq_error_set(reader->err, AQ_NO_MEMORY, "out of memory reading the config");
    else
        memset(memory, 0, count * size);
    return memory;
}

char *aq_config_copy(struct aq_config_reader *reader, const char *text, size_t size)
{
    char *copy = aq_config_alloc(reader, 1, size + 1);
    if (copy != NULL && size > 0)
        memcpy(copy, text, size);
    return copy;
}

size_t aq_config_characters(const char *text, size_t size)
{
    size_t count = 0;
    for (size_t i = 0; i < size; i++)
        count += ((unsigned char)text[i] & 0xc0) != 0x80;
    return count;
}

enum aq_status aq_config_locate(struct aq_config_reader *reader, const char *path,
                                const char **located)
{
    *located = path;
    if (path[0] == '/' || reader->folder[0] == '\0' || strncmp(path, "s3://", 5) == 0)
        return AQ_OK;
    if (strncmp(path, "./", 2) == 0)
        path += 2;
    *located = aq_arena_format(reader->arena, "%s/%s", reader->folder, path);
    if (*located == NULL)
        return aq_error_set(reader->err, AQ_NO_MEMORY, "out of memory reading the config");
    return AQ_OK;
}

static const char *kind_text(const struct aq_config_node *node)
{
    switch (node->kind) {
    case AQ_NODE_EMPTY:
        return "nothing";
    case AQ_NODE_SCALAR:
        return "a single value";
    case AQ_NODE_LIST:
        return "a list";
    case AQ_NODE_MAPPING:
        return "a mapping";
    }
    return "?";
}

const char *aq_config_suggest(struct aq_config_reader *reader, const char *word,
                              const char *const *words, size_t word_count)
{
    const char *nearest = aq_nearest_word(aq_slice_of(word), words, word_count);
    if (nearest != NULL)
        return aq_arena_format(reader->arena, "did you mean \"%s\"?", nearest);
    const char *text = "expected one of: ";
    for (size_t i = 0; i < word_count && text != NULL && strlen(text) < 400; i++)
        text = aq_arena_format(reader->arena, "%s%s%s", text, i == 0 ? "" : ", ", words[i]);
    return text == NULL ? "" : text;
}

static enum aq_status fail_unknown_key(struct aq_config_reader *reader,
                                       const struct aq_config_node *entry, const char *what,
                                       const struct aq_config_field *fields, size_t field_count)
{
    const char **names = aq_config_alloc(reader, field_count, sizeof *names);
    if (names == NULL)
        return AQ_NO_MEMORY;
    for (size_t i = 0; i < field_count; i++)
        names[i] = fields[i].name;
    return aq_config_fail(reader, entry->key_mark, "unknown key \"%s\" in %s; %s", entry->key, what,
                          aq_config_suggest(reader, entry->key, names, field_count));
}

enum aq_status aq_config_expect_mapping(struct aq_config_reader *reader,
                                        const struct aq_config_node *node, const char *what)
{
    if (node->kind == AQ_NODE_MAPPING)
        return AQ_OK;
    return aq_config_fail(reader, node->mark,
                          "%s: expected a mapping (\"name: value\" lines), found %s", what,
                          kind_text(node));
}

enum aq_status aq_config_read_fields(struct aq_config_reader *reader,
                                     const struct aq_config_node *node, const char *what,
                                     const struct aq_config_field *fields, size_t field_count,
                                     void *target)
{
    AQ_TRY(aq_config_expect_mapping(reader, node, what));
    for (const struct aq_config_node *entry = node->first; entry != NULL; entry = entry->next) {
        const struct aq_config_field *field = fields;
        while (field < fields + field_count && strcmp(field->name, entry->key) != 0)
            field++;
        if (field == fields + field_count)
            return fail_unknown_key(reader, entry, what, fields, field_count);
        AQ_TRY(field->read(reader, entry, field, (char *)target + field->offset));
    }
    return AQ_OK;
}

enum aq_status aq_config_read_node(struct aq_config_reader *reader,
                                   const struct aq_config_node *node,
                                   const struct aq_config_field *field, void *to)
{
    if (node->kind == AQ_NODE_EMPTY)
        return aq_config_fail(
            reader, node->mark,
            "%s: expected a value, found nothing; remove the key or, for the text "
            "\"null\", quote it",
            field->name);
    *(const struct aq_config_node **)to = node;
    return AQ_OK;
}

static enum aq_status expect_scalar(struct aq_config_reader *reader,
                                    const struct aq_config_node *node,
                                    const struct aq_config_field *field, const char *expected)
{
    if (node->kind == AQ_NODE_SCALAR)
        return AQ_OK;
    return aq_config_fail(reader, node->mark, "%s: expected %s, found %s%s", field->name, expected,
                          kind_text(node),
                          node->kind == AQ_NODE_EMPTY ? " (quote a text like \"null\")" : "");
}

enum aq_status aq_config_read_text(struct aq_config_reader *reader,
                                   const struct aq_config_node *node,
                                   const struct aq_config_field *field, void *to)
{
    AQ_TRY(expect_scalar(reader, node, field, "a text"));
    if (node->text[0] == '\0')
        return aq_config_fail(reader, node->mark, "%s: expected a text, found an empty one",
                              field->name);
    *(const char **)to = node->text;
    return AQ_OK;
}

enum aq_status aq_config_read_word(struct aq_config_reader *reader,
                                   const struct aq_config_node *node,
                                   const struct aq_config_field *field, void *to)
{
    AQ_TRY(expect_scalar(reader, node, field, "a word"));
    size_t count = 0;
    for (; field->words[count] != NULL; count++) {
        if (strcmp(field->words[count], node->text) == 0) {
            *(int *)to = (int)count;
            return AQ_OK;
        }
    }
    return aq_config_fail(reader, node->mark, "%s: unknown word \"%s\"; %s", field->name,
                          node->text, aq_config_suggest(reader, node->text, field->words, count));
}

enum aq_status aq_config_read_bool(struct aq_config_reader *reader,
                                   const struct aq_config_node *node,
                                   const struct aq_config_field *field, void *to)
{
    AQ_TRY(expect_scalar(reader, node, field, "true or false"));
    bool yes = strcmp(node->text, "true") == 0;
    if (!yes && strcmp(node->text, "false") != 0)
        return aq_config_fail(reader, node->mark, "%s: expected true or false, found \"%s\"",
                              field->name, node->text);
    *(bool *)to = yes;
    return AQ_OK;
}

/* Digits and a unit; false for anything else and for what does not fit 63 bits. */
static bool parse_quantity(const char *text, const struct unit *units, size_t unit_count,
                           uint64_t *value)
{
    size_t digits = strspn(text, "0123456789");
    if (digits == 0 || digits > 18)
        return false;
    uint64_t number = 0;
    for (size_t i = 0; i < digits; i++)
        number = number * 10 + (uint64_t)(text[i] - '0');
    const char *name = text + digits + strspn(text + digits, " ");
    for (size_t i = 0; i < unit_count; i++) {
        if (strcmp(name, units[i].name) == 0)
            return !__builtin_mul_overflow(number, units[i].factor, value) && *value <= INT64_MAX;
    }
    return false;
}

bool aq_config_parse_span(const char *text, int64_t *span_us)
{
    uint64_t value = 0;
    bool valid = parse_quantity(text, span_units, COUNT_OF(span_units), &value);
    *span_us = (int64_t)value;
    return valid;
}

bool aq_config_parse_size(const char *text, uint64_t *size_bytes)
{
    return parse_quantity(text, size_units, COUNT_OF(size_units), size_bytes) ||
           parse_quantity(text, decimal_units, COUNT_OF(decimal_units), size_bytes);
}

static void print_quantity(uint64_t value, const struct unit *units, size_t unit_count,
                           struct aq_bytes *out)
{
    const struct unit *unit = units;
    while (unit < units + unit_count - 1 && (value == 0 || value % unit->factor != 0))
        unit++;
    char text[48];
    snprintf(text, sizeof text, "%" PRIu64 "%s", value / unit->factor, unit->name);
    aq_bytes_append(out, text, strlen(text));
}

void aq_config_print_size(uint64_t bytes, struct aq_bytes *out)
{
    print_quantity(bytes, size_units, COUNT_OF(size_units), out);
}

void aq_config_print_span(int64_t us, struct aq_bytes *out)
{
    print_quantity((uint64_t)us, span_units, COUNT_OF(span_units), out);
}

/* Fail if `value` is outside the field's bounds, which `print` writes as a user would. */
static enum aq_status check_bounds(struct aq_config_reader *reader,
                                   const struct aq_config_node *node,
                                   const struct aq_config_field *field, uint64_t value,
                                   bool is_span)
{
    uint64_t most = field->most == 0 ? INT64_MAX : field->most;
    if (value >= field->least && value <= most)
        return AQ_OK;
    struct aq_bytes bounds = {0};
    const struct unit *units = is_span ? span_units : size_units;
    size_t unit_count = is_span ? COUNT_OF(span_units) : COUNT_OF(size_units);
    print_quantity(field->least, units, unit_count, &bounds);
    aq_bytes_append(&bounds, " to ", 4);
    print_quantity(most, units, unit_count, &bounds);
    enum aq_status status =
        aq_config_fail(reader, node->mark, "%s: %s is out of bounds; expected %.*s", field->name,
                       node->text, (int)bounds.size, (const char *)bounds.data);
    aq_bytes_deinit(&bounds);
    return status;
}

enum aq_status aq_config_read_size(struct aq_config_reader *reader,
                                   const struct aq_config_node *node,
                                   const struct aq_config_field *field, void *to)
{
    uint64_t value = 0;
    AQ_TRY(expect_scalar(reader, node, field, "a size like 128MiB"));
    if (!aq_config_parse_size(node->text, &value))
        return aq_config_fail(reader, node->mark,
                              "%s: expected a size like 128MiB (B, KiB, MiB, GiB, TiB, kB, MB, GB, "
                              "TB), found \"%s\"",
                              field->name, node->text);
    AQ_TRY(check_bounds(reader, node, field, value, false));
    *(uint64_t *)to = value;
    return AQ_OK;
}

enum aq_status aq_config_read_span(struct aq_config_reader *reader,
                                   const struct aq_config_node *node,
                                   const struct aq_config_field *field, void *to)
{
    uint64_t value = 0;
    AQ_TRY(expect_scalar(reader, node, field, "a span like 30d"));
    if (strcmp(node->text, "0") != 0 && /* the same in every unit */
        !parse_quantity(node->text, span_units, COUNT_OF(span_units), &value))
        return aq_config_fail(
            reader, node->mark,
            "%s: expected a span like 30d (us, ms, s, m for minutes, h, d, w, y), "
            "found \"%s\"",
            field->name, node->text);
    AQ_TRY(check_bounds(reader, node, field, value, true));
    *(int64_t *)to = (int64_t)value;
    return AQ_OK;
}

enum aq_status aq_config_read_schedule(struct aq_config_reader *reader,
                                       const struct aq_config_node *node,
                                       const struct aq_config_field *field, void *to)
{
    struct aq_schedule *schedule = to;
    int64_t every_us = 0;
    AQ_TRY(expect_scalar(reader, node, field, "a time of day or a span"));
    if (aq_schedule_parse_daily(node->text, schedule))
        return AQ_OK;
    if (!aq_config_parse_span(node->text, &every_us))
        return aq_config_fail(
            reader, node->mark,
            "%s: expected a time of day (\"02:30\", \"02:30 Asia/Shanghai\") or a span (6h), "
            "found \"%s\"",
            field->name, node->text);
    AQ_TRY(check_bounds(reader, node, field, (uint64_t)every_us, true));
    *schedule = (struct aq_schedule){.every_us = every_us};
    return AQ_OK;
}

enum aq_status aq_config_read_texts(struct aq_config_reader *reader,
                                    const struct aq_config_node *node,
                                    const struct aq_config_field *field, void *to)
{
    struct aq_config_texts *texts = to;
    bool is_list = node->kind == AQ_NODE_LIST;
    size_t count = is_list ? node->count : 1;
    texts->texts = aq_config_alloc(reader, count, sizeof *texts->texts);
    texts->marks = aq_config_alloc(reader, count, sizeof *texts->marks);
    if (texts->texts == NULL || texts->marks == NULL)
        return AQ_NO_MEMORY;
    const struct aq_config_node *entry = is_list ? node->first : node;
    for (size_t i = 0; i < count; i++, entry = entry->next) {
        AQ_TRY(expect_scalar(reader, entry, field, "a text or a list of texts"));
        texts->texts[i] = entry->text;
        texts->marks[i] = entry->mark;
    }
    texts->count = count;
    return AQ_OK;
}
