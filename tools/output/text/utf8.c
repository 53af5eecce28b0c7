/* Decoding of UTF-8, and its display width by wcwidth in the C.UTF-8 locale. */
#include "tools/output/text/utf8.h"

#include <locale.h>
#include <stdio.h>
#include <wchar.h>

void aq_utf8_setup(void)
{
    /* Only character widths follow the locale; numbers keep their point, messages their language. */
    if (setlocale(LC_CTYPE, "C.UTF-8") == NULL)
        setlocale(LC_CTYPE, "");
}

static size_t sequence_length(uint8_t first)
{
    if (first < 0x80)
        return 1;
    if (first >= 0xc2 && first <= 0xdf)
        return 2;
    if (first >= 0xe0 && first <= 0xef)
        return 3;
    return first >= 0xf0 && first <= 0xf4 ? 4 : 0;
}

size_t aq_utf8_next(struct aq_slice text, size_t at, uint32_t *code_point)
{
    static const uint32_t smallest[] = {0, 0, 0x80, 0x800, 0x10000};
    static const uint8_t first_mask[] = {0, 0x7f, 0x1f, 0x0f, 0x07};
    size_t length = sequence_length(text.data[at]);
    *code_point = AQ_UTF8_BAD;
    if (length == 0 || length > text.size - at)
        return 1;
    uint32_t value = text.data[at] & first_mask[length];
    for (size_t i = 1; i < length; i++) {
        if ((text.data[at + i] & 0xc0) != 0x80)
            return 1;
        value = value << 6 | (text.data[at + i] & 0x3f);
    }
    if (value < smallest[length] || value > 0x10ffff || (value >= 0xd800 && value <= 0xdfff))
        return 1;
    *code_point = value;
    return length;
}

/* Control characters, and marks that would reorder or hide what stands beside them. */
static bool must_escape(uint32_t c)
{
    return c < 0x20 || (c >= 0x7f && c <= 0x9f) || (c >= 0x200e && c <= 0x200f) ||
           (c >= 0x2028 && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069) || c == 0xfeff;
}

static size_t append_escape(uint32_t c, struct aq_bytes *out)
{
    char text[16];
    int size;
    if (c == '\n' || c == '\t' || c == '\r')
        size = snprintf(text, sizeof(text), "\\%c", c == '\n' ? 'n' : c == '\t' ? 't' : 'r');
    else if (c < 0x100)
        size = snprintf(text, sizeof(text), "\\x%02x", (unsigned)c);
    else
        size = snprintf(text, sizeof(text), "\\u{%04x}", (unsigned)c);
    aq_bytes_append(out, text, (size_t)size);
    return (size_t)size;
}

size_t aq_utf8_display(struct aq_slice text, struct aq_bytes *out)
{
    size_t columns = 0;
    for (size_t at = 0; at < text.size;) {
        uint32_t c;
        size_t length = aq_utf8_next(text, at, &c);
        if (c == AQ_UTF8_BAD) {
            columns += append_escape(text.data[at], out);
        } else if (must_escape(c)) {
            columns += append_escape(c, out);
        } else {
            int width = c < 0x80 ? 1 : wcwidth((wchar_t)c);
            columns += width >= 0 ? (size_t)width : 1; /* unknown to the C library: guess */
            aq_bytes_append(out, text.data + at, length);
        }
        at += length;
    }
    return columns;
}
