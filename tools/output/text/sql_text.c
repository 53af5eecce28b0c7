/* Quotes are doubled inside; nothing else is special (standard_conforming_strings). */
#include "tools/output/text/sql_text.h"

static void put_quoted(const char *text, char quote, struct aq_bytes *out)
{
    aq_bytes_u8(out, (uint8_t)quote);
    for (; *text != '\0'; text++) {
        if (*text == quote)
            aq_bytes_u8(out, (uint8_t)quote);
        aq_bytes_u8(out, (uint8_t)*text);
    }
    aq_bytes_u8(out, (uint8_t)quote);
}

void aq_sql_name(const char *name, struct aq_bytes *out)
{
    put_quoted(name, '"', out);
}

void aq_sql_text(const char *text, struct aq_bytes *out)
{
    put_quoted(text, '\'', out);
}
