/* Bodies are hashed before they are sent, for the hash stands in the head. The file's bytes must not
 * change meanwhile: if they do, the server refuses them. */
#include "engine/object/s3/wire/s3_body.h"

#include "engine/io/io.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>

#define STEP_BYTES 65536

struct aq_s3_body aq_s3_body_of(struct aq_slice data)
{
    return (struct aq_s3_body){
        .data = data.data == NULL ? (const uint8_t *)"" : data.data, .fd = -1, .size = data.size};
}

enum aq_status aq_s3_body_read(const struct aq_s3_body *body, uint64_t at, void *buffer,
                               size_t size, size_t *count, struct aq_error *err)
{
    *count = at >= body->size ? 0 : size;
    if (*count > body->size - at)
        *count = (size_t)(body->size - at);
    if (*count == 0)
        return AQ_OK;
    if (body->data == NULL)
        return aq_io_pread_exact(body->fd, "the file to upload", body->offset + at, buffer, *count,
                                 err);
    memcpy(buffer, body->data + at, *count);
    return AQ_OK;
}

static enum aq_status update(const struct aq_s3_body *body, EVP_MD_CTX *sha256, EVP_MD_CTX *md5,
                             struct aq_error *err)
{
    uint8_t step[STEP_BYTES];
    size_t count = 0;
    for (uint64_t at = 0; at < body->size; at += count) {
        AQ_TRY(aq_s3_body_read(body, at, step, sizeof step, &count, err));
        if (EVP_DigestUpdate(sha256, step, count) != 1 || EVP_DigestUpdate(md5, step, count) != 1)
            return aq_error_set(err, AQ_IO, "the hash library fails");
    }
    return AQ_OK;
}

static enum aq_status finish(EVP_MD_CTX *sha256, EVP_MD_CTX *md5, struct aq_s3_digest *digest,
                             struct aq_error *err)
{
    uint8_t hash[EVP_MAX_MD_SIZE];
    unsigned size = 0;
    if (EVP_DigestFinal_ex(sha256, hash, &size) != 1 || size != 32)
        return aq_error_set(err, AQ_IO, "the hash library fails");
    for (unsigned i = 0; i < size; i++)
        snprintf(digest->sha256_hex + (size_t)2 * i, 3, "%02x", hash[i]);
    if (EVP_DigestFinal_ex(md5, hash, &size) != 1 || size != 16)
        return aq_error_set(err, AQ_IO, "the hash library fails");
    EVP_EncodeBlock((unsigned char *)digest->md5_base64, hash, 16);
    return AQ_OK;
}

enum aq_status aq_s3_body_digest(const struct aq_s3_body *body, struct aq_s3_digest *digest,
                                 struct aq_error *err)
{
    EVP_MD_CTX *sha256 = EVP_MD_CTX_new();
    EVP_MD_CTX *md5 = EVP_MD_CTX_new();
    enum aq_status status = AQ_OK;
    if (sha256 == NULL || md5 == NULL || EVP_DigestInit_ex(sha256, EVP_sha256(), NULL) != 1 ||
        EVP_DigestInit_ex(md5, EVP_md5(), NULL) != 1)
        status = aq_error_set(err, AQ_NO_MEMORY, "the hash library fails");
    if (status == AQ_OK)
        status = update(body, sha256, md5, err);
    if (status == AQ_OK)
        status = finish(sha256, md5, digest, err);
    EVP_MD_CTX_free(sha256);
    EVP_MD_CTX_free(md5);
    return status;
}
