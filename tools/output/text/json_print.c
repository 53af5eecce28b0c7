/* JSON text, piece by piece: RFC 8259. */
#include "tools/output/text/json_print.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "engine/base/civil/civil_time.h"
#include "tools/output/text/utf8.h"

static void escape(uint32_t c, struct aq_bytes *out)
{
    static const char letters[] = {
        ['\b'] = 'b', ['\t'] = 't', ['\n'] = 'n', ['\f'] = 'f', ['\r'] = 'r'};
    char text[8];
    if (c == '"' || c == '\\')
        snprintf(text, sizeof(text), "\\%c", (int)c);
    else if (c < sizeof(letters) && letters[c] != 0)
        snprintf(text, sizeof(text), "\\%c", letters[c]);
    else
        snprintf(text, sizeof(text), "\\u%04x", (unsigned)c);
    aq_bytes_chars(out, text);
}

void aq_json_put_string(struct aq_slice text, struct aq_bytes *out)
{
    aq_bytes_u8(out, '"');
    for (size_t at = 0; at < text.size;) {
        uint32_t c;
        size_t length = aq_utf8_next(text, at, &c);
        if (c == AQ_UTF8_BAD)
            aq_bytes_chars(out, "\xef\xbf\xbd");
        else if (c < 0x20 || c == '"' || c == '\\')
            escape(c, out);
        else
            aq_bytes_append(out, text.data + at, length);
        at += length;
    }
    aq_bytes_u8(out, '"');
}

/* Line ends in JSON text can only be white space between its tokens. */
static void append_one_line(struct aq_slice json, struct aq_bytes *out)
{
    for (size_t i = 0; i < json.size; i++)
        aq_bytes_u8(out, json.data[i] == '\n' || json.data[i] == '\r' ? ' ' : json.data[i]);
}

/* "2025-02-14 13:00:00+07" -> "2025-02-14T13:00:00+07:00". */
static void append_time(struct aq_slice text, struct aq_bytes *out)
{
    aq_bytes_u8(out, '"');
    size_t sign = 0;
    for (size_t i = 0; i < text.size; i++) {
        bool gap = text.data[i] == ' ' && sign == 0 && i + 1 < text.size &&
                   text.data[i + 1] >= '0' && text.data[i + 1] <= '9';
        aq_bytes_u8(out, gap ? 'T' : text.data[i]);
        if (i > 10 && (text.data[i] == '+' || text.data[i] == '-'))
            sign = i;
    }
    if (sign != 0 && text.size == sign + 3)
        aq_bytes_chars(out, ":00");
    aq_bytes_u8(out, '"');
}

static bool is_finite_number(struct aq_slice text)
{
    return text.size > 0 &&
           ((text.data[0] >= '0' && text.data[0] <= '9') ||
            (text.data[0] == '-' && text.size > 1 && text.data[1] >= '0' && text.data[1] <= '9'));
}

void aq_json_put_value(enum aq_type type, struct aq_slice text, struct aq_bytes *out)
{
    switch (type) {
    case AQ_TYPE_BOOLEAN:
        aq_bytes_chars(out, text.size > 0 && text.data[0] == 't' ? "true" : "false");
        return;
    case AQ_TYPE_INTEGER:
    case AQ_TYPE_BIGINT:
    case AQ_TYPE_REAL:
    case AQ_TYPE_DOUBLE:
        if (is_finite_number(text))
            aq_bytes_append(out, text.data, text.size);
        else
            aq_json_put_string(text, out);
        return;
    case AQ_TYPE_JSON:
        append_one_line(text, out);
        return;
    case AQ_TYPE_TIMESTAMP:
    case AQ_TYPE_TIMESTAMPTZ:
        append_time(text, out);
        return;
    case AQ_TYPE_TEXT:
    case AQ_TYPE_BYTEA:
    case AQ_TYPE_DATE:
    case AQ_TYPE_INTERVAL:
        break;
    }
    aq_json_put_string(text, out);
}

void aq_json_open(struct aq_bytes *out, char bracket)
{
    aq_bytes_u8(out, (uint8_t)bracket);
}

void aq_json_close(struct aq_bytes *out, char bracket)
{
    aq_bytes_u8(out, (uint8_t)bracket);
}

void aq_json_name(struct aq_bytes *out, const char *name)
{
    uint8_t last = out->size > 0 ? out->data[out->size - 1] : '{';
    if (last != '{' && last != '[')
        aq_bytes_u8(out, ',');
    if (name == NULL)
        return;
    aq_json_put_string(aq_slice_of(name), out);
    aq_bytes_u8(out, ':');
}

void aq_json_member_slice(struct aq_bytes *out, const char *name, struct aq_slice text)
{
    aq_json_name(out, name);
    aq_json_put_string(text, out);
}

void aq_json_member_text(struct aq_bytes *out, const char *name, const char *text)
{
    aq_json_member_slice(out, name, aq_slice_of(text));
}

void aq_json_member_count(struct aq_bytes *out, const char *name, uint64_t value)
{
    char text[32];
    snprintf(text, sizeof(text), "%" PRIu64, value);
    aq_json_name(out, name);
    aq_bytes_chars(out, text);
}

void aq_json_member_int(struct aq_bytes *out, const char *name, int64_t value)
{
    char text[32];
    snprintf(text, sizeof(text), "%" PRId64, value);
    aq_json_name(out, name);
    aq_bytes_chars(out, text);
}

void aq_json_member_bool(struct aq_bytes *out, const char *name, bool value)
{
    aq_json_name(out, name);
    aq_bytes_chars(out, value ? "true" : "false");
}

void aq_json_member_real(struct aq_bytes *out, const char *name, double value)
{
    char text[64];
    snprintf(text, sizeof(text), "%.6g", isfinite(value) ? value : 0.0);
    aq_json_name(out, name);
    aq_bytes_chars(out, text);
}

void aq_json_member_time(struct aq_bytes *out, const char *name, int64_t time_us)
{
    char text[64];
    size_t size = aq_time_format(time_us, aq_zone_utc(), text, sizeof(text));
    aq_json_name(out, name);
    append_time(aq_slice_make(text, size), out);
}
