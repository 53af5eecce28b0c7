/*
 * `tier:` and `http:` -> struct aq_tier_config, struct aq_http_config.
 *
 * Happy path: every key is known, its value has the right form, and what is absent has its default.
 * Failures: a bucket, endpoint or address of another form; half a pair of keys; keep_home below after;
 * an address that others reach without a token.
 */
#include <arpa/inet.h>
#include <string.h>

#include "engine/config/section/config_section.h"
#include "engine/config/section/config_source.h"

#define GIB (UINT64_C(1) << 30)

static const char *const driver_words[] = {"curl", "libs3", NULL};

/** The parts that a struct aq_tier_config does not hold as they are read. */
struct tier_nodes {
    struct aq_tier_config tier;
    int driver;
};

#define AT(member) .offset = offsetof(struct tier_nodes, member)
static const struct aq_config_field tier_fields[] = {
    {.name = "to", .read = aq_config_read_text, AT(tier.to)},
    {.name = "endpoint", .read = aq_config_read_optional_text, AT(tier.endpoint)},
    {.name = "region", .read = aq_config_read_text, AT(tier.region)},
    {.name = "storage_class", .read = aq_config_read_text, AT(tier.storage_class)},
    {.name = "driver", .read = aq_config_read_word, AT(driver), .words = driver_words},
    {.name = "after", .read = aq_config_read_span, AT(tier.after_us)},
    {.name = "keep_home", .read = aq_config_read_span, AT(tier.keep_home_us)},
    {.name = "protect", .read = aq_config_read_span, AT(tier.protect_us)},
    {.name = "cache", .read = aq_config_read_size, AT(tier.cache_bytes)},
    {.name = "access_key", .read = aq_config_read_optional_text, AT(tier.access_key)},
    {.name = "access_key_file", .read = aq_config_read_secret_file, AT(tier.access_key)},
    {.name = "secret_key", .read = aq_config_read_optional_text, AT(tier.secret_key)},
    {.name = "secret_key_file", .read = aq_config_read_secret_file, AT(tier.secret_key)},
    {.name = "session_token", .read = aq_config_read_optional_text, AT(tier.session_token)},
    {.name = "session_token_file", .read = aq_config_read_secret_file, AT(tier.session_token)},
};
#undef AT

struct http_nodes {
    const char *listen;
    const char *token;
};

static const struct aq_config_field http_fields[] = {
    {.name = "listen", .read = aq_config_read_text, .offset = offsetof(struct http_nodes, listen)},
    {.name = "token",
     .read = aq_config_read_optional_text,
     .offset = offsetof(struct http_nodes, token)},
    {.name = "token_file",
     .read = aq_config_read_secret_file,
     .offset = offsetof(struct http_nodes, token)},
};

/* The text may hold a key by mistake ("s3://KEY:SECRET@BUCKET"), so it is not shown. */
static enum aq_status check_bucket(struct aq_config_reader *reader,
                                   const struct aq_config_node *node)
{
    static const char allowed[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_";
    const char *bucket = node->text + 5;
    if (strncmp(node->text, "s3://", 5) == 0) {
        size_t size = strspn(bucket, allowed);
        if (size >= 1 && size <= 255 && (bucket[size] == '/' || bucket[size] == '\0'))
            return AQ_OK;
    }
    return aq_config_fail(
        reader, node->mark,
        "to: expected s3://BUCKET/PREFIX, the bucket in letters, digits, \".\", \"-\" "
        "and \"_\"");
}

static enum aq_status check_endpoint(struct aq_config_reader *reader,
                                     const struct aq_config_node *node)
{
    if (node == NULL || node->text[0] == '\0')
        return AQ_OK;
    size_t scheme = strncmp(node->text, "http://", 7) == 0    ? 7
                    : strncmp(node->text, "https://", 8) == 0 ? 8
                                                              : 0;
    if (strchr(node->text, '@') != NULL)
        return aq_config_fail(
            reader, node->mark,
            "endpoint: has no user and password; use access_key: and secret_key:");
    for (const char *c = node->text; *c != '\0'; c++)
        if ((unsigned char)*c <= ' ' || *c == 0x7f)
            scheme = 0;
    if (scheme > 0 && node->text[scheme] != '\0' && node->text[scheme] != '/')
        return AQ_OK;
    return aq_config_fail(reader, node->mark,
                          "endpoint: expected http://HOST:PORT or https://HOST, found \"%s\"",
                          node->text);
}

static enum aq_status check_keys(struct aq_config_reader *reader, const struct aq_config_node *node,
                                 const struct aq_tier_config *tier)
{
    if ((tier->access_key == NULL) != (tier->secret_key == NULL))
        return aq_config_fail(reader, node->mark,
                              "tier: %s_key is given without %s_key; give both, or neither to have "
                              "them found as AWS tools find them",
                              tier->access_key != NULL ? "access" : "secret",
                              tier->access_key != NULL ? "secret" : "access");
    if (tier->session_token != NULL && tier->access_key == NULL)
        return aq_config_fail(reader, node->mark,
                              "tier: session_token needs access_key and secret_key");
    return AQ_OK;
}

enum aq_status aq_config_tier_parse(struct aq_config_reader *reader,
                                    const struct aq_config_node *node, struct aq_tier_config *tier)
{
    struct tier_nodes nodes = {.tier = {.endpoint = "",
                                        .region = "us-east-1",
                                        .storage_class = "STANDARD",
                                        .after_us = 30 * AQ_US_PER_DAY,
                                        .keep_home_us = -1,
                                        .protect_us = AQ_US_PER_HOUR,
                                        .cache_bytes = 10 * GIB}};
    AQ_TRY(aq_config_read_section(reader, node, "tier", tier_fields,
                                  sizeof tier_fields / sizeof tier_fields[0], &nodes));
    AQ_TRY(aq_config_require(reader, node, "tier", "to"));
    AQ_TRY(check_bucket(reader, aq_config_node_find(node, "to")));
    AQ_TRY(check_endpoint(reader, aq_config_node_find(node, "endpoint")));
    *tier = nodes.tier;
    tier->driver = driver_words[nodes.driver];
    if (tier->keep_home_us < 0)
        tier->keep_home_us = tier->after_us;
    if (tier->keep_home_us < tier->after_us)
        return aq_config_fail(
            reader, aq_config_node_find(node, "keep_home")->mark,
            "keep_home: is less than after:, when archives go to the bucket; they "
            "stay at home until then");
    return check_keys(reader, node, tier);
}

/* "127.0.0.1:9190", "localhost:9190" or "[::1]:9190". */
static bool split_address(struct aq_config_reader *reader, const char *text,
                          struct aq_http_config *http)
{
    const char *colon = strrchr(text, ':');
    if (colon == NULL || colon[1] == '\0' || strspn(colon + 1, "0123456789") != strlen(colon + 1) ||
        strlen(colon + 1) > 5)
        return false;
    unsigned port = 0;
    for (const char *digit = colon + 1; *digit != '\0'; digit++)
        port = port * 10 + (unsigned)(*digit - '0');
    bool bracketed = text[0] == '[' && colon > text && colon[-1] == ']';
    const char *host = bracketed ? aq_config_copy(reader, text + 1, (size_t)(colon - text) - 2)
                                 : aq_config_copy(reader, text, (size_t)(colon - text));
    if (host == NULL || port > UINT16_MAX)
        return false;
    unsigned char address[16];
    http->port = (uint16_t)port;
    http->host = strcmp(host, "localhost") == 0 ? "127.0.0.1" : host;
    return inet_pton(bracketed ? AF_INET6 : AF_INET, http->host, address) == 1;
}

static bool is_loopback(const char *host)
{
    struct in_addr four;
    struct in6_addr six;
    if (inet_pton(AF_INET, host, &four) == 1)
        return ntohl(four.s_addr) >> 24 == IN_LOOPBACKNET;
    return inet_pton(AF_INET6, host, &six) == 1 && IN6_IS_ADDR_LOOPBACK(&six);
}

enum aq_status aq_config_http_parse(struct aq_config_reader *reader,
                                    const struct aq_config_node *node, struct aq_http_config *http)
{
    struct http_nodes nodes = {.listen = "127.0.0.1:9190"};
    AQ_TRY(aq_config_read_section(reader, node, "http", http_fields,
                                  sizeof http_fields / sizeof http_fields[0], &nodes));
    const struct aq_config_node *listen = aq_config_node_find(node, "listen");
    struct aq_config_mark mark = listen == NULL ? node->mark : listen->mark;
    if (!split_address(reader, nodes.listen, http))
        return aq_config_fail(reader, mark,
                              "listen: expected HOST:PORT like 127.0.0.1:9190, [::1]:9190 or "
                              "localhost:9190 (numeric: no name is looked up), found \"%s\"",
                              nodes.listen);
    http->token = nodes.token;
    if (http->token == NULL && !is_loopback(http->host))
        return aq_config_fail(reader, mark,
                              "listen: %s can be reached from other machines; add token: or "
                              "token_file:, or listen on 127.0.0.1",
                              http->host);
    return AQ_OK;
}
