/* s3://BUCKET/PREFIX and an endpoint -> URLs.
 *
 * With an endpoint a bucket is part of the path, as servers of one's own want it. Without one it is AWS,
 * and the bucket is part of the host's name, unless it has a dot: the wildcard of AWS's certificate
 * covers one label. A bucket, prefix, endpoint or region that is not well formed is AQ_INVALID. */
#include "engine/object/s3/wire/s3_address.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SCHEME "s3://"
#define NAME_BYTES_MAX 200 /* of an object below the prefix (object.c) */

static bool all_of(const char *text, size_t size, const char *others)
{
    for (size_t i = 0; i < size; i++)
        if (!isalnum((unsigned char)text[i]) &&
            (text[i] == '\0' || strchr(others, text[i]) == NULL))
            return false;
    return true;
}

static enum aq_status read_url(const char *url, struct aq_s3_address *address, struct aq_error *err)
{
    if (url == NULL || strncmp(url, SCHEME, strlen(SCHEME)) != 0)
        return aq_error_set(err, AQ_INVALID, "\"%.200s\" is no bucket: write s3://BUCKET/PREFIX",
                            url == NULL ? "" : url);
    const char *bucket = url + strlen(SCHEME);
    size_t bucket_size = strcspn(bucket, "/");
    if (bucket_size < 3 || bucket_size > 63 || !all_of(bucket, bucket_size, ".-_"))
        return aq_error_set(err, AQ_INVALID,
                            "\"%.200s\": a bucket's name has 3 to 63 letters, digits, '.' and '-'",
                            url);
    const char *prefix = bucket + bucket_size;
    while (*prefix == '/')
        prefix++;
    size_t prefix_size = strlen(prefix);
    while (prefix_size > 0 && prefix[prefix_size - 1] == '/')
        prefix_size--;
    if (!all_of(prefix, prefix_size, "._=-/") || strstr(prefix, "//") != NULL ||
        strstr(prefix, "..") != NULL || prefix_size + 2 + NAME_BYTES_MAX > AQ_S3_KEY_BYTES_MAX)
        return aq_error_set(err, AQ_INVALID,
                            "\"%.200s\": a prefix has letters, digits and . _ = - /, no \"..\" or "
                            "\"//\", and at most %d bytes",
                            url, AQ_S3_KEY_BYTES_MAX - NAME_BYTES_MAX - 2);
    address->bucket = strndup(bucket, bucket_size);
    const char *end = prefix_size == 0 ? "" : "/";
    if (asprintf(&address->prefix, "%.*s%s", (int)prefix_size, prefix, end) < 0)
        address->prefix = NULL;
    if (asprintf(&address->root, SCHEME "%.*s%s%.*s", (int)bucket_size, bucket, end,
                 (int)prefix_size, prefix) < 0)
        address->root = NULL;
    return AQ_OK;
}

static enum aq_status read_endpoint(const char *endpoint, struct aq_s3_address *address,
                                    struct aq_error *err)
{
    const char *host = strstr(endpoint, "://");
    host = host == NULL ? "" : host + 3;
    size_t size = strcspn(host, "/");
    if ((strncmp(endpoint, "http://", 7) != 0 && strncmp(endpoint, "https://", 8) != 0) ||
        size == 0 || size > 255 || !all_of(host, size, ".-_:[]") ||
        strspn(host + size, "/") != strlen(host + size))
        return aq_error_set(err, AQ_INVALID,
                            "the endpoint is no http://HOST:PORT or https://HOST: it may have "
                            "neither a path nor a user");
    address->by_path = true;
    address->origin = strndup(endpoint, (size_t)(host - endpoint) + size);
    return AQ_OK;
}

static void use_aws(struct aq_s3_address *address)
{
    const char *domain =
        strncmp(address->region, "cn-", 3) == 0 ? "amazonaws.com.cn" : "amazonaws.com";
    address->by_path = address->bucket != NULL && strpbrk(address->bucket, "._") != NULL;
    if (address->bucket == NULL ||
        asprintf(&address->origin, "https://%s%ss3.%s.%s", address->by_path ? "" : address->bucket,
                 address->by_path ? "" : ".", address->region, domain) < 0)
        address->origin = NULL;
}

enum aq_status aq_s3_address_init(const struct aq_s3_options *options,
                                  struct aq_s3_address *address, struct aq_error *err)
{
    *address = (struct aq_s3_address){0};
    const char *region =
        options->region == NULL || options->region[0] == '\0' ? "us-east-1" : options->region;
    if (strlen(region) >= sizeof address->region || !all_of(region, strlen(region), "-"))
        return aq_error_set(err, AQ_INVALID, "\"%.60s\" is no region like us-east-1", region);
    snprintf(address->region, sizeof address->region, "%s", region);
    enum aq_status status = read_url(options->url, address, err);
    if (status == AQ_OK && options->endpoint != NULL && options->endpoint[0] != '\0')
        status = read_endpoint(options->endpoint, address, err);
    else if (status == AQ_OK)
        use_aws(address);
    if (status == AQ_OK && (address->bucket == NULL || address->prefix == NULL ||
                            address->root == NULL || address->origin == NULL))
        status = aq_error_set(err, AQ_NO_MEMORY, "out of memory");
    if (status != AQ_OK)
        aq_s3_address_deinit(address);
    return status;
}

void aq_s3_address_deinit(struct aq_s3_address *address)
{
    free(address->bucket);
    free(address->prefix);
    free(address->root);
    free(address->origin);
    *address = (struct aq_s3_address){0};
}

void aq_s3_encode(struct aq_bytes *out, const char *text, bool slashes)
{
    static const char digits[] = "0123456789ABCDEF";
    for (const char *at = text; *at != '\0'; at++) {
        unsigned char byte = (unsigned char)*at;
        if (isalnum(byte) || strchr("._~-", byte) != NULL || (slashes && byte == '/')) {
            aq_bytes_u8(out, byte);
        } else {
            aq_bytes_u8(out, '%');
            aq_bytes_u8(out, (uint8_t)digits[byte >> 4]);
            aq_bytes_u8(out, (uint8_t)digits[byte & 15]);
        }
    }
}

enum aq_status aq_s3_url(const struct aq_s3_address *address, const char *name, const char *query,
                         struct aq_bytes *out)
{
    aq_bytes_chars(out, address->origin);
    aq_bytes_u8(out, '/');
    if (address->by_path) {
        aq_s3_encode(out, address->bucket, false);
        if (name != NULL)
            aq_bytes_u8(out, '/');
    }
    if (name != NULL) {
        aq_s3_encode(out, address->prefix, true);
        aq_s3_encode(out, name, true);
    }
    if (query[0] != '\0') {
        aq_bytes_u8(out, '?');
        aq_bytes_chars(out, query);
    }
    aq_bytes_u8(out, '\0');
    return aq_bytes_status(out);
}
