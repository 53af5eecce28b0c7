/*
 * ${NAME} and ${NAME:default} in a scalar, from the environment. One pass: what a variable holds is
 * not looked at again. Failures: a name that is not set and has no default, an unclosed brace, an odd
 * name, a default that holds "${" (it would end at the wrong brace).
 */
#include "engine/config/config_node.h"

#include <stdlib.h>
#include <string.h>

#define NAME_LETTERS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_"
#define NAME_CHARACTERS NAME_LETTERS "0123456789"

/* `at` is just behind "${"; on success behind the closing brace. */
static enum aq_status expand_one(struct aq_config_reader *reader, struct aq_config_mark mark,
                                 const char **at, struct aq_bytes *out)
{
    const char *name = *at;
    size_t name_size = strspn(name, NAME_CHARACTERS);
    const char *end = name + name_size;
    if (name_size == 0 || strspn(name, NAME_LETTERS) == 0 || (*end != ':' && *end != '}'))
        return aq_config_fail(reader, mark,
                              "\"${\" must be followed by NAME} or NAME:default}, found \"%.20s\"; "
                              "write $${ for the characters themselves",
                              name);
    const char *fallback = *end == ':' ? end + 1 : NULL;
    const char *brace = strchr(end, '}');
    if (brace == NULL)
        return aq_config_fail(reader, mark, "no closing \"}\" after \"${%.*s\"", (int)name_size,
                              name);
    if (fallback != NULL && memmem(fallback, (size_t)(brace - fallback), "${", 2) != NULL)
        return aq_config_fail(
            reader, mark, "a default inside a default (${%.*s:...); only one level is supported",
            (int)name_size, name);
    char *copy = aq_config_copy(reader, name, name_size);
    if (copy == NULL)
        return AQ_NO_MEMORY;
    const char *value = getenv(copy);
    if (value != NULL)
        aq_bytes_append(out, value, strlen(value));
    else if (fallback != NULL)
        aq_bytes_append(out, fallback, (size_t)(brace - fallback));
    else
        return aq_config_fail(
            reader, mark, "the environment has no %s; set it, or write ${%s:default}", copy, copy);
    *at = brace + 1;
    return AQ_OK;
}

static enum aq_status expand_all(struct aq_config_reader *reader, struct aq_config_mark mark,
                                 const char *text, struct aq_bytes *out)
{
    for (const char *at = text; *at != '\0';) {
        if (strncmp(at, "$${", 3) == 0) {
            aq_bytes_append(out, "${", 2);
            at += 3;
        } else if (strncmp(at, "${", 2) == 0) {
            at += 2;
            AQ_TRY(expand_one(reader, mark, &at, out));
        } else {
            aq_bytes_u8(out, (uint8_t)*at++);
        }
        if (out->size > AQ_CONFIG_BYTES_MAX)
            return aq_config_fail(reader, mark, "longer than %zu bytes after expansion",
                                  AQ_CONFIG_BYTES_MAX);
    }
    return AQ_OK;
}

enum aq_status aq_config_expand(struct aq_config_reader *reader, struct aq_config_mark mark,
                                const char *text, const char **expanded)
{
    *expanded = text;
    if (strstr(text, "${") == NULL)
        return AQ_OK;
    struct aq_bytes out = {0};
    enum aq_status status = expand_all(reader, mark, text, &out);
    if (status == AQ_OK) {
        *expanded = aq_config_copy(reader, (const char *)out.data, out.size);
        if (*expanded == NULL || aq_bytes_status(&out) != AQ_OK)
            status = AQ_NO_MEMORY;
    }
    aq_bytes_deinit(&out);
    return status;
}
