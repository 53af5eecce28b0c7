/* Step 1 of a message's way: gzip members to bytes.
 *
 * Happy path: zlib decodes a member and compares its checksum and length; behind it comes another
 * member, zeros, or the end. (libarchive's own filter passes over the checksum, and takes whatever
 * does not begin like a member for the end.)
 * Failures: of the input; damage, which is told after all bytes before it were given. */
#include "engine/ingest/file/read/gunzip.h"

#include <stdlib.h>
#include <zlib.h>

#define OUT_BYTES ((size_t)256 << 10)
#define GZIP_ONLY (16 + MAX_WBITS)

enum place { IN_MEMBER, BEHIND_MEMBER, IN_PADDING };

struct aq_gunzip {
    aq_gunzip_input_fn input;
    void *context;
    z_stream stream;
    enum place place;
    const char *damage;
    uint8_t out[OUT_BYTES];
};

struct aq_gunzip *aq_gunzip_create(aq_gunzip_input_fn input, void *context)
{
    struct aq_gunzip *gunzip = calloc(1, sizeof *gunzip);
    if (gunzip == NULL || inflateInit2(&gunzip->stream, GZIP_ONLY) != Z_OK) {
        free(gunzip);
        return NULL;
    }
    gunzip->input = input;
    gunzip->context = context;
    return gunzip;
}

void aq_gunzip_destroy(struct aq_gunzip *gunzip)
{
    if (gunzip == NULL)
        return;
    inflateEnd(&gunzip->stream);
    free(gunzip);
}

const char *aq_gunzip_damage(const struct aq_gunzip *gunzip)
{
    return gunzip->damage;
}

bool aq_gunzip_knows(const uint8_t *data, size_t size)
{
    return size >= 3 && data[0] == 0x1f && data[1] == 0x8b && data[2] == Z_DEFLATED;
}

/* Behind a member. @return whether another begins, or cannot be told apart from one. */
static bool begin_member(struct aq_gunzip *gunzip)
{
    z_stream *stream = &gunzip->stream;
    while (stream->avail_in > 0 && *stream->next_in == 0) {
        gunzip->place = IN_PADDING;
        stream->next_in++;
        stream->avail_in--;
    }
    if (stream->avail_in == 0)
        return false;
    if (gunzip->place == IN_PADDING || *stream->next_in != 0x1f || inflateReset(stream) != Z_OK) {
        gunzip->damage = "something else follows the compressed data";
        return false;
    }
    gunzip->place = IN_MEMBER;
    return true;
}

static void decode(struct aq_gunzip *gunzip)
{
    z_stream *stream = &gunzip->stream;
    int result = inflate(stream, Z_NO_FLUSH);
    if (result == Z_STREAM_END)
        gunzip->place = BEHIND_MEMBER;
    else if (result != Z_OK && result != Z_BUF_ERROR)
        gunzip->damage = stream->msg != NULL ? stream->msg : "gzip data is damaged";
}

ssize_t aq_gunzip_read(struct aq_gunzip *gunzip, const uint8_t **data)
{
    z_stream *stream = &gunzip->stream;
    stream->next_out = gunzip->out;
    stream->avail_out = OUT_BYTES;
    *data = gunzip->out;
    while (gunzip->damage == NULL && stream->avail_out == OUT_BYTES) {
        const uint8_t *input = NULL;
        ssize_t size = stream->avail_in > 0 ? 0 : gunzip->input(gunzip->context, &input);
        if (size < 0)
            return -1;
        if (size > 0) {
            stream->next_in = (uint8_t *)input;
            stream->avail_in = (uInt)size;
        } else if (stream->avail_in == 0) {
            if (gunzip->place != IN_MEMBER)
                return 0;
            gunzip->damage = "truncated gzip input";
            break;
        }
        if (gunzip->place == IN_MEMBER || begin_member(gunzip))
            decode(gunzip);
    }
    size_t size = OUT_BYTES - stream->avail_out;
    return size == 0 ? -1 : (ssize_t)size;
}
