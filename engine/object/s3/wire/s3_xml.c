/* XML answers of S3 by expat: entities, encodings and well-formedness are its business.
 *
 * An answer is small and flat: more than DEPTH_MAX levels, a path or a text that does not fit, or a
 * document type (the way to entities that grow) ends the reading as AQ_CORRUPT. */
#include "engine/object/s3/wire/s3_xml.h"

#include <ctype.h>
#include <expat.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DEPTH_MAX 12
#define PATH_BYTES_MAX 256

struct reading {
    XML_Parser parser;
    aq_s3_xml_fn visit;
    void *context;
    enum aq_status status;
    char path[PATH_BYTES_MAX];
    size_t path_size;
    unsigned depth;
    char text[AQ_S3_TEXT_BYTES_MAX];
    size_t text_size;
};

static void stop(struct reading *reading, enum aq_status status)
{
    reading->status = status;
    XML_StopParser(reading->parser, XML_FALSE);
}

static const char *local_name(const char *name)
{
    const char *colon = strrchr(name, ':');
    return colon == NULL ? name : colon + 1;
}

static void XMLCALL on_start(void *context, const char *name, const char **attributes)
{
    struct reading *reading = context;
    (void)attributes;
    name = local_name(name);
    size_t size = strlen(name);
    if (reading->depth == DEPTH_MAX || reading->path_size + size + 2 > sizeof reading->path) {
        stop(reading, AQ_CORRUPT);
        return;
    }
    if (reading->depth++ > 0)
        reading->path[reading->path_size++] = '/';
    memcpy(reading->path + reading->path_size, name, size + 1);
    reading->path_size += size;
    reading->text_size = 0;
}

static void XMLCALL on_text(void *context, const char *text, int size)
{
    struct reading *reading = context;
    if ((size_t)size >= sizeof reading->text - reading->text_size) {
        stop(reading, AQ_CORRUPT);
        return;
    }
    memcpy(reading->text + reading->text_size, text, (size_t)size);
    reading->text_size += (size_t)size;
}

static void XMLCALL on_end(void *context, const char *name)
{
    struct reading *reading = context;
    if (reading->status < 0)
        return;
    reading->text[reading->text_size] = '\0';
    enum aq_status status = reading->visit(reading->context, reading->path, reading->text);
    if (status < 0)
        stop(reading, status);
    size_t size = strlen(local_name(name));
    reading->path_size -= size + (reading->depth > 1 ? 1 : 0);
    reading->path[reading->path_size] = '\0';
    reading->depth--;
    reading->text_size = 0;
}

static void XMLCALL on_doctype(void *context, const char *name, const char *system_id,
                               const char *public_id, int has_subset)
{
    (void)name;
    (void)system_id;
    (void)public_id;
    (void)has_subset;
    stop(context, AQ_CORRUPT);
}

enum aq_status aq_s3_xml_read(struct aq_slice body, aq_s3_xml_fn visit, void *context,
                              struct aq_error *err)
{
    while (body.size > 0 && isspace(body.data[0]))
        body = aq_slice_make(body.data + 1, body.size - 1);
    if (body.size > INT32_MAX)
        return aq_error_set(err, AQ_CORRUPT, "the server's answer is too long");
    struct reading *reading = calloc(1, sizeof *reading);
    XML_Parser parser = XML_ParserCreate(NULL);
    enum aq_status status;
    if (reading == NULL || parser == NULL) {
        status = aq_error_set(err, AQ_NO_MEMORY, "out of memory");
        goto done;
    }
    reading->parser = parser;
    reading->visit = visit;
    reading->context = context;
    XML_SetUserData(parser, reading);
    XML_SetElementHandler(parser, on_start, on_end);
    XML_SetCharacterDataHandler(parser, on_text);
    XML_SetStartDoctypeDeclHandler(parser, on_doctype);
    bool parsed = XML_Parse(parser, (const char *)body.data, (int)body.size, 1) == XML_STATUS_OK;
    status = reading->status;
    if (status == AQ_CORRUPT || (status == AQ_OK && !parsed))
        status =
            aq_error_set(err, AQ_CORRUPT, "the server's answer is no XML that S3 would send: %s",
                         XML_ErrorString(XML_GetErrorCode(parser)));
    else if (status < 0)
        status = aq_error_set(err, status, "the server's answer: %s", aq_status_text(status));
done:
    if (parser != NULL)
        XML_ParserFree(parser);
    free(reading);
    return status;
}

/* Cut, and without control characters: it goes into messages. */
static void copy_printable(char *out, size_t out_size, const char *text)
{
    size_t used = 0;
    for (; *text != '\0' && used + 1 < out_size; text++)
        out[used++] = *text >= 32 && *text < 127 ? *text : '?';
    out[used] = '\0';
}

static enum aq_status visit_error(void *context, const char *path, const char *text)
{
    struct aq_s3_error *error = context;
    if (strcmp(path, "Error/Code") == 0)
        copy_printable(error->code, sizeof error->code, text);
    else if (strcmp(path, "Error/Message") == 0)
        copy_printable(error->message, sizeof error->message, text);
    else if (strcmp(path, "Error/Region") == 0)
        copy_printable(error->region, sizeof error->region, text);
    else if (strcmp(path, "Error") == 0 && error->code[0] == '\0')
        copy_printable(error->code, sizeof error->code, "Error");
    if (strchr(path, '/') == NULL)
        copy_printable(error->root, sizeof error->root, path);
    return AQ_OK;
}

void aq_s3_error_read(struct aq_slice body, struct aq_s3_error *error)
{
    *error = (struct aq_s3_error){0};
    /* What came before a fault counts: the body of an error may be cut. */
    (void)!aq_s3_xml_read(body, visit_error, error, NULL);
}

struct wanted {
    const char *path;
    char *out;
    size_t out_size;
    bool found;
};

static enum aq_status visit_wanted(void *context, const char *path, const char *text)
{
    struct wanted *wanted = context;
    size_t size = strlen(text);
    if (strcmp(path, wanted->path) != 0)
        return AQ_OK;
    if (size == 0 || size >= wanted->out_size)
        return AQ_CORRUPT;
    memcpy(wanted->out, text, size + 1);
    wanted->found = true;
    return AQ_OK;
}

enum aq_status aq_s3_xml_text(struct aq_slice body, const char *path, char *out, size_t out_size,
                              struct aq_error *err)
{
    struct wanted wanted = {.path = path, .out = out, .out_size = out_size};
    AQ_TRY(aq_s3_xml_read(body, visit_wanted, &wanted, err));
    if (!wanted.found)
        return aq_error_set(err, AQ_CORRUPT, "the server's answer has no %s", path);
    return AQ_OK;
}
