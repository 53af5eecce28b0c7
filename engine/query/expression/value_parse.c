/* Text to values: literals and casts from text, by PostgreSQL's input rules. Spaces around a value are
 * allowed except in text. The words now, today, infinity are refused: write now() or a date. */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "engine/base/text/json_text.h"
#include "engine/base/text/number_text.h"
#include "engine/query/expression/function.h"

static bool is_space(uint8_t byte)
{
    return byte == ' ' || (byte >= '\t' && byte <= '\r');
}

static struct aq_slice strip(struct aq_slice text)
{
    while (text.size > 0 && is_space(text.data[0])) {
        text.data++;
        text.size--;
    }
    while (text.size > 0 && is_space(text.data[text.size - 1]))
        text.size--;
    return text;
}

static enum aq_status parse_int(struct aq_slice text, enum aq_type type, int64_t *value)
{
    char buffer[32];
    if (text.size == 0 || text.size >= sizeof buffer)
        return AQ_INVALID;
    memcpy(buffer, text.data, text.size);
    buffer[text.size] = '\0';
    char *end;
    errno = 0;
    *value = strtoll(buffer, &end, 10);
    if (*end != '\0' || end == buffer)
        return AQ_INVALID;
    if (errno == ERANGE || (type == AQ_TYPE_INTEGER && *value != (int32_t)*value))
        return AQ_LIMIT;
    return AQ_OK;
}

static enum aq_status parse_bool(struct aq_slice text, int64_t *value)
{
    static const char *const words[] = {"true", "yes", "on", "1", "false", "no", "off", "0"};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        size_t size = strlen(words[i]);
        /* Any unambiguous beginning will do; "o" could be on or off. */
        if (text.size == 0 || text.size > size || (words[i][0] == 'o' && text.size < 2) ||
            strncasecmp((const char *)text.data, words[i], text.size) != 0)
            continue;
        *value = i < 4;
        return AQ_OK;
    }
    return AQ_INVALID;
}

static enum aq_status parse_double(struct aq_slice text, enum aq_type type, double *value)
{
    enum aq_status status = aq_double_parse(text, value);
    if (status == AQ_REJECT)
        return AQ_INVALID;
    if (status != AQ_OK)
        return AQ_LIMIT;
    if (type == AQ_TYPE_REAL) {
        float narrow = (float)*value;
        if (isinf(narrow) && !isinf(*value))
            return AQ_LIMIT;
        *value = narrow;
    }
    return AQ_OK;
}

static int hex_digit(uint8_t byte)
{
    if (byte >= '0' && byte <= '9')
        return byte - '0';
    byte |= 0x20;
    return byte >= 'a' && byte <= 'f' ? byte - 'a' + 10 : -1;
}

static enum aq_status parse_bytea(struct aq_slice text, struct aq_arena *arena,
                                  struct aq_slice *value)
{
    if (text.size < 2 || text.data[0] != '\\' || text.data[1] != 'x') {
        /* The escape form: plain bytes; its backslash sequences are not taken. */
        *value = text;
        return memchr(text.data, '\\', text.size) == NULL ? AQ_OK : AQ_UNSUPPORTED;
    }
    uint8_t *bytes = aq_arena_alloc(arena, text.size / 2);
    if (bytes == NULL)
        return AQ_NO_MEMORY;
    if (text.size % 2 != 0)
        return AQ_INVALID;
    for (size_t i = 2; i < text.size; i += 2) {
        int high = hex_digit(text.data[i]);
        int low = hex_digit(text.data[i + 1]);
        if (high < 0 || low < 0)
            return AQ_INVALID;
        bytes[i / 2 - 1] = (uint8_t)(high << 4 | low);
    }
    *value = aq_slice_make(bytes, text.size / 2 - 1);
    return AQ_OK;
}

/* Whether a time's text ends in a zone, which timestamp and date would have to ignore. */
static bool names_zone(struct aq_slice text)
{
    const uint8_t *colon = memchr(text.data, ':', text.size);
    if (colon == NULL)
        return false;
    for (const uint8_t *at = colon; at < text.data + text.size; at++)
        if (*at == '+' || *at == '-' || (*at | 0x20) >= 'a')
            return true;
    return false;
}

static enum aq_status parse_time(struct aq_slice text, enum aq_type type,
                                 const struct aq_zone *zone, int64_t *value)
{
    if (type != AQ_TYPE_TIMESTAMPTZ) {
        if (names_zone(text))
            return AQ_UNSUPPORTED;
        zone = aq_zone_utc();
    }
    if (aq_time_parse(text, zone, value) != AQ_OK)
        return AQ_INVALID;
    if (type == AQ_TYPE_DATE)
        *value = aq_floor_div(*value, AQ_US_PER_DAY);
    return AQ_OK;
}

static enum aq_status check_json(struct aq_slice text)
{
    struct aq_json_index *index = aq_json_index_create();
    const char *why;
    enum aq_status status = index == NULL ? AQ_NO_MEMORY : aq_json_check(index, text, &why);
    aq_json_index_destroy(index);
    return status == AQ_REJECT ? AQ_INVALID : status;
}

enum aq_status aq_value_parse(struct aq_slice text, enum aq_type type, const struct aq_zone *zone,
                              struct aq_arena *arena, union aq_value *value)
{
    switch (type) {
    case AQ_TYPE_TEXT:
        value->slice = text;
        return AQ_OK;
    case AQ_TYPE_JSON:
        value->slice = text;
        return check_json(text);
    case AQ_TYPE_BOOLEAN:
        return parse_bool(strip(text), &value->integer);
    case AQ_TYPE_INTEGER:
    case AQ_TYPE_BIGINT:
        return parse_int(strip(text), type, &value->integer);
    case AQ_TYPE_REAL:
    case AQ_TYPE_DOUBLE:
        return parse_double(strip(text), type, &value->real);
    case AQ_TYPE_BYTEA:
        return parse_bytea(text, arena, &value->slice);
    case AQ_TYPE_DATE:
    case AQ_TYPE_TIMESTAMPTZ:
    case AQ_TYPE_TIMESTAMP:
        return parse_time(strip(text), type, zone, &value->integer);
    case AQ_TYPE_INTERVAL:
        return aq_interval_parse(strip(text), &value->interval) ? AQ_OK : AQ_INVALID;
    }
    return AQ_UNSUPPORTED;
}

const char *aq_value_complaint(enum aq_status status, struct aq_slice text, enum aq_type type,
                               char *out, size_t out_size)
{
    int shown = text.size > 80 ? 80 : (int)text.size;
    const char *quoted = text.size == 0 ? "" : (const char *)text.data;
    if (status == AQ_LIMIT)
        snprintf(out, out_size, "value \"%.*s\" is out of range for type %s", shown, quoted,
                 aq_type_name(type));
    else if (status == AQ_UNSUPPORTED && type == AQ_TYPE_BYTEA)
        snprintf(out, out_size, "write the bytes \"%.*s\" in hex: '\\x...'", shown, quoted);
    else if (status == AQ_UNSUPPORTED)
        snprintf(out, out_size,
                 "\"%.*s\" names a zone, which type %s ignores; write TIMESTAMPTZ '...'", shown,
                 quoted, aq_type_name(type));
    else if (status == AQ_NO_MEMORY)
        snprintf(out, out_size, "out of memory");
    else
        snprintf(out, out_size, "invalid input syntax for type %s: \"%.*s\"", aq_type_name(type),
                 shown, quoted);
    return out;
}
