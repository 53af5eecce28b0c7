/*
 * What the sections with secrets share: texts that may be empty, names of files, secrets in files.
 *
 * Happy path: `password: TEXT`, or `password_file: PATH`, which is read now (64 KiB at most; the line
 * end at its end is cut). Failures: a file that cannot be read, is empty, too long or holds a NUL; a
 * secret given both ways. No message shows a secret.
 */
#include "engine/config/section/config_section.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "engine/config/config_read.h"

/* What the name of a secret holds, librdkafka's options included. */
static const char *const secret_words[] = {"password",   "passphrase", "token",
                                           "access_key", "secret",     ".pem"};

static bool is_file_key(const char *key)
{
    size_t size = strlen(key);
    return size > 5 && strcmp(key + size - 5, "_file") == 0;
}

bool aq_config_is_secret(const char *key)
{
    for (size_t i = 0; i < sizeof secret_words / sizeof secret_words[0]; i++)
        if (strstr(key, secret_words[i]) != NULL)
            return !is_file_key(key);
    return false;
}

enum aq_status aq_config_read_optional_text(struct aq_config_reader *reader,
                                            const struct aq_config_node *node,
                                            const struct aq_config_field *field, void *to)
{
    if (node->kind == AQ_NODE_SCALAR && node->text[0] == '\0')
        return AQ_OK;
    return aq_config_read_text(reader, node, field, to);
}

enum aq_status aq_config_read_file_name(struct aq_config_reader *reader,
                                        const struct aq_config_node *node,
                                        const struct aq_config_field *field, void *to)
{
    const char *path = NULL;
    AQ_TRY(aq_config_read_text(reader, node, field, &path));
    AQ_TRY(aq_config_locate(reader, node->text, &path));
    if (access(path, R_OK) != 0)
        return aq_config_fail(reader, node->mark, "%s: cannot read %s: %s", field->name, path,
                              strerror(errno));
    *(const char **)to = path;
    return AQ_OK;
}

/* One byte more than the bound is asked for, so that a longer file is refused and not cut. */
static int read_whole(const char *path, char *text, size_t room, size_t *size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (fd < 0)
        return errno;
    int fault = 0;
    for (*size = 0; *size < room;) {
        ssize_t got = read(fd, text + *size, room - *size);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            fault = errno;
        if (got <= 0)
            break;
        *size += (size_t)got;
    }
    close(fd);
    return fault;
}

enum aq_status aq_config_read_secret_file(struct aq_config_reader *reader,
                                          const struct aq_config_node *node,
                                          const struct aq_config_field *field, void *to)
{
    const char *path = NULL;
    size_t size = 0;
    AQ_TRY(aq_config_read_file_name(reader, node, field, &path));
    char *text = aq_config_alloc(reader, 1, AQ_CONFIG_SECRET_BYTES_MAX + 1);
    if (text == NULL)
        return AQ_NO_MEMORY;
    int fault = read_whole(path, text, AQ_CONFIG_SECRET_BYTES_MAX + 1, &size);
    if (fault != 0)
        return aq_config_fail(reader, node->mark, "%s: cannot read %s: %s", field->name, path,
                              strerror(fault));
    if (size > AQ_CONFIG_SECRET_BYTES_MAX)
        return aq_config_fail(reader, node->mark,
                              "%s: %s is longer than %zu bytes; is it a secret?", field->name, path,
                              AQ_CONFIG_SECRET_BYTES_MAX);
    if (memchr(text, '\0', size) != NULL)
        return aq_config_fail(reader, node->mark, "%s: %s holds a NUL; a secret is one text",
                              field->name, path);
    if (size > 0 && text[size - 1] == '\n')
        size--;
    if (size > 0 && text[size - 1] == '\r')
        size--;
    text[size] = '\0';
    if (size == 0)
        return aq_config_fail(reader, node->mark, "%s: %s is empty", field->name, path);
    *(const char **)to = text;
    return AQ_OK;
}

enum aq_status aq_config_read_section(struct aq_config_reader *reader,
                                      const struct aq_config_node *node, const char *what,
                                      const struct aq_config_field *fields, size_t field_count,
                                      void *target)
{
    AQ_TRY(aq_config_expect_mapping(reader, node, what));
    for (const struct aq_config_node *entry = node->first; entry != NULL; entry = entry->next) {
        char twin[64];
        snprintf(twin, sizeof twin, "%s_file", entry->key);
        if (aq_config_is_secret(entry->key) && aq_config_node_find(node, twin) != NULL)
            return aq_config_fail(reader, entry->key_mark, "both %s and %s are given; keep one",
                                  entry->key, twin);
    }
    return aq_config_read_fields(reader, node, what, fields, field_count, target);
}

enum aq_status aq_config_require(struct aq_config_reader *reader, const struct aq_config_node *node,
                                 const char *what, const char *key)
{
    if (aq_config_node_find(node, key) != NULL)
        return AQ_OK;
    return aq_config_fail(reader, node->mark, "%s: %s: is missing", what, key);
}
