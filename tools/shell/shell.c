/* Pieces of what shells and man read. Failures: of memory, which `out` remembers. */
#include "tools/shell/shell.h"

#include <stdio.h>
#include <string.h>

void aq_shell_put(struct aq_bytes *out, const char *format, ...)
{
    char text[1024];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    aq_bytes_chars(out, text);
}

void aq_shell_words(struct aq_bytes *out, const char *choices)
{
    for (const char *at = choices; *at != '\0'; at++)
        aq_bytes_u8(out, *at == '|' ? ' ' : (uint8_t)*at);
}

void aq_shell_quote(struct aq_bytes *out, const char *text, const char *special)
{
    for (const char *at = text; *at != '\0'; at++) {
        if (*at == '\'') {
            aq_bytes_chars(out, "'\\''");
            continue;
        }
        if (strchr(special, *at) != NULL)
            aq_bytes_u8(out, '\\');
        aq_bytes_u8(out, (uint8_t)*at);
    }
}

bool aq_shell_is_file(const char *placeholder)
{
    return strstr(placeholder, "FILE") != NULL;
}

bool aq_shell_is_folder(const char *placeholder)
{
    return strstr(placeholder, "DIR") != NULL;
}

bool aq_shell_is_choice(const char *arguments)
{
    return arguments[strspn(arguments, "abcdefghijklmnopqrstuvwxyz|")] == '\0' &&
           strchr(arguments, '|') != NULL;
}
