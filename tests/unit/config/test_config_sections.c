/* `kafka:` of sources, `tier:` and `http:`: what they come to, secrets, and what is refused. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "tests/unit/config/config_fixture.h"

#define D "datasets: {air: {columns: {a: {type: text}}}}\n"

static char secret_path[] = "/tmp/aqstore-secret-XXXXXX";

/* A file that holds `size` bytes of `text`. */
static void write_secret(const char *text, size_t size)
{
    static bool made;
    int fd = made ? -1 : mkstemp(secret_path);
    if (fd >= 0)
        close(fd);
    made = true;
    FILE *file = fopen(secret_path, "w");
    cr_assert_not_null(file);
    cr_assert_eq(fwrite(text, 1, size, file), size);
    cr_assert_eq(fclose(file), 0);
}

static void remove_secret(void)
{
    unlink(secret_path);
}

/* The config with `settings` for its one Kafka source. */
static void kafka_refused(const char *settings, const char *part)
{
    char text[1024];
    snprintf(text, sizeof text, D "sources:\n s:\n  dataset: air\n  kafka: {%s}\n", settings);
    struct aq_config *config = NULL;
    struct aq_error err = {0};
    cr_assert_eq(aq_config_parse("a.yaml", aq_slice_of(text), &config, &err), AQ_INVALID,
                 "accepted: %s", settings);
    cr_assert_eq(strncmp(err.path, "a.yaml:5:", 9), 0, "%s", err.path);
    cr_assert_not_null(strstr(err.message, part), "%s: %s", err.path, err.message);
}

/* Refused at the line of the tier, which stands alone. */
static void tier_refused(const char *settings, const char *path, const char *part)
{
    char text[512];
    snprintf(text, sizeof text, "tier: {%s}", settings);
    refuse(text, path, part);
}

Test(config_sections, kafka_becomes_properties, .fini = remove_secret)
{
    char text[1024];
    write_secret("hunter2\r\n", 9);
    snprintf(text, sizeof text,
             D "sources:\n"
               "  s:\n"
               "    dataset: air\n"
               "    kafka:\n"
               "      brokers: [a:9092, \"b:9092,c:9092\"]\n"
               "      topics: [raw, \"^air\\\\..*\"]\n"
               "      security: sasl_ssl\n"
               "      mechanism: SCRAM-SHA-512\n"
               "      username: u\n"
               "      password_file: %s\n"
               "      ca_file: %s\n"
               "      options:\n"
               "        fetch.min.bytes: 1\n"
               "        client.id: probe\n",
             secret_path, secret_path);
    struct aq_config *config = parse(text);
    const struct aq_kafka_config *kafka = &config->sources[0].client;
    cr_assert_str_eq(kafka->brokers, "a:9092,b:9092,c:9092");
    cr_assert_eq(kafka->topic_count, 2);
    cr_assert_str_eq(kafka->topics[1], "^air\\..*");
    cr_assert_str_eq(kafka->group, "aqstore");
    cr_assert_str_eq(kafka->password, "hunter2", "without the line end");
    const char *const expected[][2] = {
        {"security.protocol", "sasl_ssl"},
        {"sasl.mechanisms", "SCRAM-SHA-512"},
        {"sasl.username", "u"},
        {"ssl.ca.location", secret_path},
        {"fetch.min.bytes", "1"},
        {"client.id", "probe"},
    };
    const int lines[] = {8, 9, 10, 12, 14, 15};
    cr_assert_eq(kafka->property_count, 6);
    for (size_t i = 0; i < 6; i++) {
        cr_assert_str_eq(kafka->properties[i].name, expected[i][0]);
        cr_assert_str_eq(kafka->properties[i].value, expected[i][1]);
        cr_assert_eq(kafka->properties[i].mark.line, lines[i]);
    }
    aq_config_destroy(config);
}

Test(config_sections, kafka_is_checked)
{
    kafka_refused("brokers: [], topics: t", "empty list; expected HOST:PORT");
    kafka_refused("brokers: [a, ''], topics: t", "an empty name");
    kafka_refused("brokers: b, topics: []", "empty list");
    kafka_refused("brokers: b, topics: 'a b'", "names no topic");
    kafka_refused("brokers: b, topics: ..", "names no topic");
    kafka_refused("brokers: b, topics: 'raw\\..*'", "a pattern, which begins with \"^\"");
    kafka_refused("brokers: b, topics: '^a(b'", "no POSIX extended regular expression");
    kafka_refused("brokers: b, topics: t, group: ''", "expected a text");
    kafka_refused("brokers: b, topics: t, security: sasl", "unknown word");
    kafka_refused("brokers: b, topics: t, username: u", "not sent without security: sasl_ssl");
    kafka_refused("brokers: b, topics: t, security: ssl, password: p", "password: is not sent");
    kafka_refused("brokers: b, topics: t, security: sasl_ssl, username: u", "needs mechanism");
    kafka_refused("brokers: b, topics: t, security: sasl_ssl", "security: needs mechanism");
    kafka_refused("brokers: b, topics: t, options: [a]", "expected a mapping");
    kafka_refused("brokers: b, topics: t, options: {a: [b]}", "\"a\" must be a single value");
    kafka_refused("brokers: b, topics: t, options: {group.id: g}", "what group: of kafka sets");
    kafka_refused("brokers: b, topics: t, security: ssl, options: {security.protocol: ssl}",
                  "what security: of kafka sets");
}

Test(config_sections, kafka_options_may_bring_what_has_no_key)
{
    struct aq_config *config =
        parse(D "sources: {s: {dataset: air, kafka: {brokers: b, topics: t, username: u, options: "
                "{security.protocol: sasl_ssl, sasl.mechanisms: OAUTHBEARER}}}}");
    cr_assert_eq(config->sources[0].client.property_count, 3);
    cr_assert_null(config->sources[0].client.password);
    aq_config_destroy(config);
}

#define TWO(one, other)                                         \
    D "sources:\n"                                              \
      " s: {dataset: air, kafka: {brokers: 'b, c', " one "}}\n" \
      " r: {dataset: air, kafka: {brokers: 'a,b', " other "}}\n"

Test(config_sections, one_topic_comes_into_a_dataset_once)
{
    refuse(TWO("topics: [t, u]", "topics: u"), "a.yaml:4:52", "brings \"u\"");
    refuse(TWO("topics: '^r.*'", "topics: [q, raw], group: g"), "a.yaml:4:56",
           "\"raw\" and \"^r.*\" of source \"s\" bring one topic");
    refuse(TWO("topics: raw", "topics: '^r.w$', group: g"), "a.yaml:4:52", "narrow the pattern");
    aq_config_destroy(parse(TWO("topics: '^r.*'", "topics: [q, air.raw], group: g")));
    /* another cluster, another dataset */
    aq_config_destroy(parse(D "sources: {s: {dataset: air, kafka: {brokers: b, topics: t}},\n"
                              " r: {dataset: air, kafka: {brokers: c, topics: t}}}"));
    aq_config_destroy(parse("datasets: {a: {columns: {a: {type: text}}},\n"
                            " b: {columns: {a: {type: text}}}}\n"
                            "sources: {s: {dataset: a, kafka: {brokers: b, topics: t}},\n"
                            " r: {dataset: b, kafka: {brokers: b, topics: t}}}"));
}

Test(config_sections, one_group_is_one_client)
{
    const char *const place = "a.yaml:4:20";
    refuse(TWO("topics: t", "topics: u"), place, "brokers differs");
    refuse(TWO("topics: t, options: {x: 1}", "topics: u, options: {x: 2}"), place, "x differs");
    refuse(TWO("topics: t, options: {x: 1}", "topics: u"), place, "x differs");
    refuse(TWO("topics: t", "topics: u, options: {x: 1}"), place, "x differs");
#define LOGIN(password)                                                                   \
    "{brokers: b, security: sasl_ssl, mechanism: PLAIN, username: u, password: " password \
    ", topics: "
    refuse(D "sources:\n s: {dataset: air, kafka: " LOGIN("p") "t}}\n"
                                                               " r: {dataset: air, kafka: " LOGIN(
                                                                   "q") "u}}\n",
           place, "password differs");
    aq_config_destroy(parse(D "sources:\n s: {dataset: air, kafka: " LOGIN(
        "p") "t}}\n"
             " r: {dataset: air, kafka: " LOGIN("p") "u}}\n"));
#undef LOGIN
}

Test(config_sections, secrets_in_files, .fini = remove_secret)
{
    static char large[(64 << 10) + 1];
    char text[256];
    memset(large, 'x', sizeof large);
    write_secret("", 0); /* names the file */
    snprintf(text, sizeof text, "http:\n  token_file: %s", secret_path);
    refuse(text, "a.yaml:2:15", "is empty");
    write_secret("\n", 1);
    refuse(text, "a.yaml:2:15", "is empty");
    write_secret("a\0b", 3);
    refuse(text, "a.yaml:2:15", "holds a NUL");
    write_secret(large, sizeof large);
    refuse(text, "a.yaml:2:15", "longer than 65536 bytes");
    write_secret(large, sizeof large - 1);
    aq_config_destroy(parse(text));
    write_secret("two\nlines\n", 10);
    struct aq_config *config = parse(text);
    cr_assert_str_eq(config->http_config.token, "two\nlines");
    aq_config_destroy(config);
    refuse("http: {token_file: /}", "a.yaml:1:20", "Is a directory");
    refuse("http: {token_file: /none}", "a.yaml:1:20", "No such file");
    refuse("http: {token: x, token_file: /none}", "a.yaml:1:8", "both token and token_file");
}

Test(config_sections, tier_defaults)
{
    struct aq_config *config = parse("tier: {to: s3://bucket/a/b, after: 7d, endpoint: ''}");
    const struct aq_tier_config *tier = &config->tier_config;
    cr_assert_str_eq(tier->to, "s3://bucket/a/b");
    cr_assert_str_eq(tier->endpoint, "");
    cr_assert_str_eq(tier->region, "us-east-1");
    cr_assert_str_eq(tier->storage_class, "STANDARD");
    cr_assert_str_eq(tier->driver, "curl");
    cr_assert_null(tier->access_key);
    cr_assert_eq(tier->after_us, 7 * AQ_US_PER_DAY);
    cr_assert_eq(tier->keep_home_us, 7 * AQ_US_PER_DAY, "after");
    cr_assert_eq(tier->protect_us, AQ_US_PER_HOUR);
    cr_assert_eq(tier->cache_bytes, UINT64_C(10) << 30);
    aq_config_destroy(config);
    config = parse("tier: {to: s3://b, driver: libs3, protect: 0, access_key: a, secret_key: s,\n"
                   " session_token: t, endpoint: 'http://127.0.0.1:9000'}");
    cr_assert_str_eq(config->tier_config.driver, "libs3");
    cr_assert_eq(config->tier_config.protect_us, 0);
    cr_assert_str_eq(config->tier_config.secret_key, "s");
    cr_assert_str_eq(config->tier_config.session_token, "t");
    aq_config_destroy(config);
    config = parse("");
    cr_assert_null(config->tier);
    cr_assert_eq(config->segment_age_us, AQ_US_PER_HOUR);
    aq_config_destroy(config);
}

Test(config_sections, tier_is_checked)
{
    tier_refused("after: 1d", "a.yaml:1:7", "to: is missing");
    tier_refused("to: /x", "a.yaml:1:12", "expected s3://BUCKET/PREFIX");
    tier_refused("to: 's3://'", "a.yaml:1:12", "expected s3://BUCKET/PREFIX");
    tier_refused("to: 's3://u:pw@b/p'", "a.yaml:1:12", "expected s3://BUCKET/PREFIX");
    tier_refused("to: s3://b, driver: boto", "a.yaml:1:28", "expected one of: curl, libs3");
    tier_refused("to: s3://b, after: 30d, keep_home: 29d", "a.yaml:1:43", "is less than after:");
    tier_refused("to: s3://b, keep_home: 29d", "a.yaml:1:31", "is less than after:");
    tier_refused("to: s3://b, endpoint: minio:9000", "a.yaml:1:30", "expected http://HOST:PORT");
    tier_refused("to: s3://b, endpoint: 'http://'", "a.yaml:1:30", "expected http://HOST:PORT");
    tier_refused("to: s3://b, endpoint: 'http://a b'", "a.yaml:1:30", "expected http://HOST:PORT");
    tier_refused("to: s3://b, endpoint: 'http://u:p@h'", "a.yaml:1:30", "use access_key:");
    tier_refused("to: s3://b, access_key: a", "a.yaml:1:7", "access_key is given without secret");
    tier_refused("to: s3://b, secret_key: a", "a.yaml:1:7", "secret_key is given without access");
    tier_refused("to: s3://b, session_token: a", "a.yaml:1:7", "session_token needs");
    tier_refused("to: s3://b, cache: 10", "a.yaml:1:27", "expected a size");
}

static void listens_at(const char *text, const char *host, int port)
{
    struct aq_config *config = parse(text);
    cr_assert_str_eq(config->http_config.host, host);
    cr_assert_eq(config->http_config.port, port);
    aq_config_destroy(config);
}

Test(config_sections, http_listens_on_loopback_or_wants_a_token)
{
    listens_at("http: {}", "127.0.0.1", 9190);
    listens_at("http: {listen: 'localhost:0'}", "127.0.0.1", 0);
    listens_at("http: {listen: '[::1]:80'}", "::1", 80);
    listens_at("http: {listen: '127.9.9.9:80'}", "127.9.9.9", 80);
    listens_at("http: {listen: '0.0.0.0:80', token: x}", "0.0.0.0", 80);
    listens_at("http: {listen: '[::]:65535', token: x}", "::", 65535);
    refuse("http: {listen: '0.0.0.0:80'}", "a.yaml:1:16", "other machines; add token:");
    refuse("http: {listen: '[::]:80', token: ''}", "a.yaml:1:16", "other machines");
    const char *const bad[] = {"80",     ":80",     "127.0.0.1",     "127.0.0.1:",
                               "::1:80", "host:80", "127.0.0.1:x",   "127.0.0.1:65536",
                               "[::1]",  "[]:80",   "[127.0.0.1]:1", "127.0.0.1:999999"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        char text[64];
        snprintf(text, sizeof text, "http: {listen: '%s'}", bad[i]);
        refuse(text, "a.yaml:1:16", "expected HOST:PORT");
    }
}

Test(config_sections, show_fills_in_and_masks, .fini = remove_secret)
{
    char text[1024];
    write_secret("hunter2\n", 8);
    snprintf(text, sizeof text,
             D "sources: {s: {dataset: air, kafka: {brokers: b, topics: t, security: sasl_ssl,\n"
               " mechanism: PLAIN, username: u, password_file: %s}}}\n"
               "tier: {to: s3://b, secret_key_file: %s, access_key: hunter2}\n"
               "http: {token_file: %s}\n",
             secret_path, secret_path, secret_path);
    struct aq_config *config = parse(text);
    struct aq_bytes out = {0};
    cr_assert_eq(aq_config_show(config, &out), AQ_OK);
    aq_bytes_u8(&out, 0);
    const char *shown = (const char *)out.data;
    cr_assert_null(strstr(shown, "hunter2"), "%s", shown);
    const char *const parts[] = {", group: aqstore}",
                                 "segment_age: 1h",
                                 "driver: curl",
                                 "keep_home: \"30d\"",
                                 "protect: \"1h\"",
                                 "cache: \"10GiB\"",
                                 "listen: \"127.0.0.1:9190\"",
                                 "storage_class: \"STANDARD\""};
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++)
        cr_assert_not_null(strstr(shown, parts[i]), "%s in %s", parts[i], shown);
    aq_bytes_deinit(&out);
    aq_config_destroy(config);
}
