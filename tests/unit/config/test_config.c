/* The config: what is read, what is refused and how the refusal reads. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/config/config_fixture.h"

static void column_refused(const char *column, const char *part)
{
    char text[512];
    snprintf(text, sizeof text, "datasets:\n d:\n  columns:\n   c: %s\n", column);
    struct aq_config *config = NULL;
    struct aq_error err = {0};
    enum aq_status status = aq_config_parse("a.yaml", aq_slice_of(text), &config, &err);
    cr_assert_eq(status, AQ_INVALID, "accepted: %s", column);
    cr_assert_eq(strncmp(err.path, "a.yaml:4:", 9), 0, "%s", err.path);
    cr_assert_not_null(strstr(err.message, part), "%s: %s", err.path, err.message);
}

static bool slice_is(struct aq_slice slice, const char *text)
{
    return aq_slice_equal(slice, aq_slice_of(text));
}

static struct aq_config *held;

static void release(void)
{
    aq_config_destroy(held);
    held = NULL;
}

/* The one path of column c declared with `from`; valid until the next call. */
static const struct aq_path *path_of(const char *from)
{
    char text[512];
    snprintf(text, sizeof text, "datasets: {d: {columns: {c: {type: text, from: '%s'}}}}", from);
    release();
    held = parse(text);
    return &held->datasets[0].columns[0].from[0];
}

static const char air[] =
    "store: data\n"
    "datasets:\n"
    "  air:\n"
    "    key: city\n"
    "    time: ts\n"
    "    unique: [city, station, ts]\n"
    "    retention: 10y\n"
    "    columns:\n"
    "      city: {type: text, from: city, required: true}\n"
    "      station: {type: bigint, from: payload.idx}\n"
    "      ts: {type: timestamptz, from: [a.iso, '{a.s}{a.tz}'], zone: '+08:00'}\n"
    "      aqi: {type: integer, null_values: ['-'], default: 0, scale: 0.5, was: [iaqi, a b]}\n"
    "      extra: {type: json, from: '*'}\n"
    "      '$${x': {type: text, map: {'$${a': '$${b'}}\n"
    "sources:\n"
    "  archive: {files: ['x/*.xz', /abs.csv], dataset: air, format: csv}\n"
    "  live:\n"
    "    kafka: {brokers: b, topics: [t], security: sasl_ssl, mechanism: PLAIN, username: u,\n"
    "            password: hunter2, options: {ssl.key.pem: hunter2, u: 'h://u:hunter2@h/\\n'}}\n"
    "    dataset: air\n"
    "views: {v: SELECT 1}\n"
    "ingest: {commit_size: 64KiB}\n"
    "compaction: {schedule: '02:30 Asia/Shanghai', rate_limit: 1MiB, profile: fast}\n";

Test(config, defaults_of_an_empty_file)
{
    struct aq_config *config = parse("# nothing\n");
    cr_assert_str_eq(config->store, "./store");
    cr_assert_eq(config->dataset_count, 0);
    cr_assert_eq(config->commit_interval_us, 1000000);
    cr_assert_eq(config->commit_size_bytes, 1 << 20);
    cr_assert_eq(config->segment_size_bytes, 64 << 20);
    cr_assert_eq(config->ingest_memory_bytes, 256 << 20);
    cr_assert_eq(config->target_size_bytes, 128 << 20);
    cr_assert_eq(config->late_us, 6 * AQ_US_PER_HOUR);
    aq_config_destroy(config);
}

Test(config, datasets_become_schemas)
{
    struct aq_config *config = parse(air);
    const struct aq_dataset_config *dataset = aq_config_dataset(config, "air");
    cr_assert_not_null(dataset);
    cr_assert_null(aq_config_dataset(config, "water"));
    const struct aq_schema *schema = &dataset->schema;
    cr_assert_eq(schema->column_count, 6);
    cr_assert_eq(schema->key_column, 0);
    cr_assert_eq(schema->time_column, 2);
    cr_assert_eq(schema->slot, AQ_SLOT_DAY);
    cr_assert_eq(schema->unique_count, 3);
    cr_assert_eq(schema->series_count, 1, "unique less key and time");
    cr_assert_eq(schema->series[0], 1);
    cr_assert_eq(schema->retention_us, 3650 * AQ_US_PER_DAY);
    cr_assert(schema->columns[0].required);
    cr_assert_eq(schema->columns[1].type, AQ_TYPE_BIGINT);
    cr_assert_eq(dataset->mark.line, 3);
    aq_config_destroy(config);
}

Test(config, columns_say_how_values_are_found)
{
    struct aq_config *config = parse(air);
    const struct aq_column_config *columns = config->datasets[0].columns;
    cr_assert_eq(columns[1].from[0].step_count, 2);
    cr_assert(slice_is(columns[1].from[0].steps[1].member, "idx"));
    cr_assert_eq(columns[2].from_count, 2);
    cr_assert_eq(columns[2].from[1].kind, AQ_PATH_TEMPLATE);
    cr_assert(slice_is(columns[2].zone, "+08:00"));
    cr_assert(slice_is(columns[3].from[0].text, "aqi"), "absent: the column's own name");
    cr_assert(slice_is(columns[3].null_values[0], "-"));
    cr_assert(columns[3].has_default && slice_is(columns[3].default_value, "0"));
    cr_assert(columns[3].has_scale && columns[3].scale == 0.5);
    cr_assert_eq(columns[4].from[0].kind, AQ_PATH_REST);
    aq_config_destroy(config);
}

Test(config, columns_know_their_former_names)
{
    struct aq_config *config = parse("datasets: {air: {columns: {"
                                     "a: {type: text, was: b}, c: {type: text, was: [d, \"e f\"]}, "
                                     "g: {type: text}}}}");
    const struct aq_former_names *was = config->datasets[0].schema.was;
    cr_assert_eq(was[0].count, 1);
    cr_assert_str_eq(was[0].names[0], "b");
    cr_assert_eq(was[1].count, 2);
    cr_assert_str_eq(was[1].names[0], "d");
    cr_assert_str_eq(was[1].names[1], "e f");
    cr_assert_eq(was[2].count, 0);
    aq_config_destroy(config);
    refuse("datasets: {air: {columns: {a: {type: text, was: [b, a]}}}}", "a.yaml:1:53",
           "a name that column \"a\" had before, found \"a\"");
}

Test(config, paths_are_relative_to_the_file)
{
    struct aq_config *config = NULL;
    cr_assert_eq(aq_config_parse("etc/aq/a.yaml", aq_slice_of(air), &config, NULL), AQ_OK);
    cr_assert_str_eq(config->store, "etc/aq/data");
    cr_assert_str_eq(config->sources[0].files[0], "etc/aq/x/*.xz");
    cr_assert_str_eq(config->sources[0].files[1], "/abs.csv");
    cr_assert_eq(config->sources[0].format, AQ_FORMAT_CSV);
    cr_assert(config->sources[1].is_kafka);
    cr_assert_eq(config->sources[1].format, AQ_FORMAT_JSON);
    cr_assert_eq(config->commit_size_bytes, 65536);
    aq_config_destroy(config);
}

Test(config, paths, .fini = release)
{
    const struct aq_path *path = path_of("a[12].b[\"odd.\\\"name\"]");
    cr_assert_eq(path->kind, AQ_PATH_VALUE);
    cr_assert_eq(path->step_count, 4);
    cr_assert_null(path->steps[1].member.data);
    cr_assert_eq(path->steps[1].index, 12);
    cr_assert(slice_is(path->steps[3].member, "odd.\"name"));

    path = path_of("PM2.5");
    cr_assert_eq(path->step_count, 2);
    cr_assert(slice_is(path->text, "PM2.5"), "the CSV header");
    path = path_of("[\"speed [km/h] {x}\"]");
    cr_assert_eq(path->kind, AQ_PATH_VALUE);
    cr_assert(slice_is(path->text, "speed [km/h] {x}"));

    cr_assert_eq(path_of("source")->kind, AQ_PATH_SOURCE);
    cr_assert_eq(path_of("[\"source\"]")->kind, AQ_PATH_VALUE);
    cr_assert_eq(path_of("kafka.key")->kind, AQ_PATH_KAFKA_KEY);
    path = path_of("kafka.headers.trace-id");
    cr_assert_eq(path->kind, AQ_PATH_KAFKA_HEADER);
    cr_assert(slice_is(path->steps[0].member, "trace-id"));
    cr_assert_eq(path_of("kafka")->kind, AQ_PATH_VALUE, "alone it is a member");
}

Test(config, templates, .fini = release)
{
    const struct aq_path *path = path_of("{year}-{a[0].m[\"}\"]} {{x}}");
    cr_assert_eq(path->kind, AQ_PATH_TEMPLATE);
    cr_assert_eq(path->part_count, 4);
    cr_assert(slice_is(path->parts[0].path->text, "year"));
    cr_assert(slice_is(path->parts[1].text, "-"));
    cr_assert_eq(path->parts[2].path->step_count, 4);
    cr_assert(slice_is(path->parts[3].text, " {x}"));
}

Test(config, column_without_from_takes_its_name_whole)
{
    struct aq_config *config = parse("datasets: {d: {columns: {PM2.5: {type: real}, "
                                     "source: {type: text}}}}");
    const struct aq_column_config *columns = config->datasets[0].columns;
    for (int i = 0; i < 2; i++) {
        cr_assert_eq(columns[i].from[0].kind, AQ_PATH_VALUE);
        cr_assert_eq(columns[i].from[0].step_count, 1);
    }
    cr_assert(slice_is(columns[0].from[0].steps[0].member, "PM2.5"));
    aq_config_destroy(config);
}

Test(config, bad_paths_are_refused)
{
    column_refused("{type: text, from: ''}", "empty");
    column_refused("{type: text, from: a..b}", "expected a name, found \".b\"");
    column_refused("{type: text, from: a.}", "expected a name at its end");
    column_refused("{type: text, from: 'a[b]'}", "expected an index like [0]");
    column_refused("{type: text, from: 'a[-1]'}", "expected an index");
    column_refused("{type: text, from: 'a[99999999999]'}", "at most nine digits");
    column_refused("{type: text, from: 'a[\"b'}", "closing");
    column_refused("{type: text, from: 'a[0]b'}", "expected \".\" or \"[\"");
    column_refused("{type: text, from: '{a'}", "closing \"}\"");
    column_refused("{type: text, from: 'a}'}", "for a brace itself");
    column_refused("{type: text, from: '{}'}", "a path in the braces");
    column_refused("{type: text, from: '{*}'}", "one value");
    column_refused("{type: text, from: kafka.ofset}", "did you mean \"offset\"?");
    column_refused("{type: text, from: []}", "empty list");
}

Test(config, columns_are_checked)
{
    column_refused("{type: txt}", "did you mean \"text\"?");
    column_refused("{type: interval}", "unknown type");
    column_refused("{from: a}", "has no type");
    column_refused("text", "expected a mapping");
    column_refused("{type: text, form: a}", "did you mean \"from\"?");
    column_refused("{type: text, required: yes}", "expected true or false, found \"yes\"");
    column_refused("{type: text, from: '*'}", "to be json");
    column_refused("{type: json, from: ['*', a]}", "only path");
    column_refused("{type: text, from: arrival}", "to be timestamptz, not text");
    column_refused("{type: integer, from: kafka.offset}", "to be bigint");
    column_refused("{type: text, format: '%Y'}", "is for times");
    column_refused("{type: text, zone: UTC}", "is for times");
    column_refused("{type: timestamptz, zone: GMT+7}", "zone: ");
    column_refused("{type: timestamptz, zone: Mars/Base}", "zone: ");
    column_refused("{type: timestamptz, format: epoch}", "epoch_ms");
    column_refused("{type: text, scale: 2}", "is for numbers");
    column_refused("{type: real, scale: 0}", "other than 0");
    column_refused("{type: real, scale: 1x}", "other than 0");
    column_refused("{type: text, default: }", "found nothing");
    column_refused("{type: text, default: [a]}", "single value");
    column_refused("{type: text, null_values: [null]}", "quote");
    column_refused("{type: text, map: {a: [b]}}", "must become a text");
}

Test(config, datasets_are_checked)
{
#define COLUMNS " columns: {a: {type: text}, b: {type: timestamptz}, c: {type: bigint}}}\n"
    refuse("datasets: {d: {key: aa," COLUMNS "}", "a.yaml:1:21", "expected one of: a, b, c");
    refuse("datasets: {d: {time: a," COLUMNS "}", "a.yaml:1:22", "expected timestamptz");
    refuse("datasets: {d: {slot: day," COLUMNS "}", "a.yaml:1:16", "needs time");
    refuse("datasets: {d: {retention: 1d," COLUMNS "}", "a.yaml:1:16", "needs time");
    refuse("datasets: {d: {time: b, slot: dya," COLUMNS "}", "a.yaml:1:31", "\"day\"");
    refuse("datasets: {d: {key: b, time: b," COLUMNS "}", "a.yaml:1:21", "same column");
    refuse("datasets: {d: {key: a, unique: [c]," COLUMNS "}", "a.yaml:1:32", "key column \"a\"");
    refuse("datasets: {d: {time: b, unique: [c]," COLUMNS "}", "a.yaml:1:33", "time column \"b\"");
    refuse("datasets: {d: {unique: [c, c]," COLUMNS "}", "a.yaml:1:28", "twice");
    refuse("datasets: {d: {unique: []," COLUMNS "}", "a.yaml:1:24", "empty list");
    refuse("datasets: {d: {keep: last," COLUMNS "}", "a.yaml:1:16", "needs unique");
    refuse("datasets: {d: {version: c," COLUMNS "}", "a.yaml:1:16", "needs unique");
    refuse("datasets: {d: {time: b, unique: [b], version: b," COLUMNS "}", "a.yaml:1:47",
           "in unique");
    refuse("datasets: {d: {unique: [a], version: d," COLUMNS "}", "a.yaml:1:38",
           "expected one of: a, b, c");
    refuse("datasets: {d: {unique: [a], series: [c]," COLUMNS "}", "a.yaml:1:38", "not in unique");
    refuse("datasets: {d: {unique: [a], version: x, columns: {a: {type: text}, x: {type: json}}}}",
           "a.yaml:1:38", "no order");
    refuse("datasets: {d: {key: a, series: [a]," COLUMNS "}", "a.yaml:1:33", "is the key");
    refuse("datasets: {d: {key: a}}", "a.yaml:1:12", "has no columns");
    refuse("datasets: {d: {columns: {}}}", "a.yaml:1:25", "1 to 1024 columns");
    refuse("datasets: {d: {columns: {a: {type: json, from: '*'}, b: {type: json, from: '*'}}}}",
           "a.yaml:1:54", "second column");
#undef COLUMNS
}

Test(config, names_must_be_safe_in_sql)
{
    refuse("datasets: {Air: {columns: {a: {type: text}}}}", "a.yaml:1:12", "lower-case");
    refuse("datasets: {a-b: {columns: {a: {type: text}}}}", "a.yaml:1:12", "lower-case");
    refuse("datasets: {\"a;drop\": {columns: {a: {type: text}}}}", "a.yaml:1:12", "lower-case");
    refuse("datasets: {1a: {columns: {a: {type: text}}}}", "a.yaml:1:12", "letter first");
    refuse("datasets: {order: {columns: {a: {type: text}}}}", "a.yaml:1:12", "reserved");
    refuse("datasets: {d_rejects: {columns: {a: {type: text}}}}", "a.yaml:1:12", "refused");
    refuse("views: {aqstore_files: SELECT 1}", "a.yaml:1:9", "own tables");
    refuse("datasets: {d: {columns: {a: {type: text}}}}\nviews: {d: SELECT 1}", "a.yaml:2:9",
           "rename the view");
}

Test(config, keys_are_checked)
{
    refuse("stroe: x\n", "a.yaml:1:1",
           "unknown key \"stroe\" in the config; did you mean \"store\"?");
    refuse("nonsense: x\n", "a.yaml:1:1", "expected one of: store, history, datasets");
    refuse("datasets:\n  d:\n    colums: {}\n", "a.yaml:3:5",
           "unknown key \"colums\" in dataset \"d\"; did you mean \"columns\"?");
    refuse("store: a\nstore: b\n", "a.yaml:2:1", "a second time (first in line 1)");
    refuse("- a\n", "a.yaml:1:1", "found a list");
    refuse("store: [a]\n", "a.yaml:1:8", "found a list");
    refuse("store:\n", "a.yaml:1:7", "found nothing");
    refuse("? [a]\n: b\n", "a.yaml:1:3", "found a list");
}

Test(config, sources_are_checked)
{
#define D "datasets: {air: {columns: {a: {type: text}}}}\n"
    refuse(D "sources: {s: {files: x}}", "a.yaml:2:11", "has no dataset");
    refuse(D "sources: {s: {files: x, dataset: airr}}", "a.yaml:2:34", "did you mean \"air\"?");
    refuse(D "sources: {s: {dataset: air}}", "a.yaml:2:11", "either files: or kafka:");
    refuse(D "sources: {s: {dataset: air, files: []}}", "a.yaml:2:11", "empty list");
    refuse(D "sources: {s: {dataset: air, files: x, format: cvs}}", "a.yaml:2:47", "\"csv\"");
    refuse(D "sources: {s: {dataset: air, files: x, format: raw}}", "a.yaml:2:47",
           "raw is for kafka");
    refuse(D "sources: {s: {dataset: air, files: x, start: latest}}", "a.yaml:2:39",
           "is for kafka");
    refuse(D "sources: {s: {dataset: air, kafka: {topics: t}}}", "a.yaml:2:36", "brokers");
    refuse(D "sources: {s: {dataset: air, kafka: {brokers: b, topics: t}, start: today}}",
           "a.yaml:2:68", "earliest, latest or a time");
    refuse(D "sources: {s: {dataset: air, kafka: {brokers: b, topics: t, password_file: /none}}}",
           "a.yaml:2:75", "No such file");
    refuse(D "sources: {s: {dataset: air, kafka: {brokers: b, topics: [t, u]}},\n"
             " r: {dataset: air, kafka: {brokers: b, topics: u}}}",
           "a.yaml:3:48", "already");
    refuse("sources: {s: {files: x, dataset: air}}", "a.yaml:1:34", "none is declared");
#undef D
}

Test(config, quantities)
{
    struct aq_config *config = parse("ingest: {commit_interval: 15m, commit_size: 2 MiB, "
                                     "segment_size: 3GB, memory: 1TiB}\nhistory: 2w\n");
    cr_assert_eq(config->commit_interval_us, 15 * 60 * AQ_US_PER_SECOND);
    cr_assert_eq(config->commit_size_bytes, 2 << 20);
    cr_assert_eq(config->segment_size_bytes, UINT64_C(3000000000));
    cr_assert_eq(config->history_us, 14 * AQ_US_PER_DAY);
    aq_config_destroy(config);
    refuse("ingest: {commit_size: 1M}", "a.yaml:1:23", "expected a size like 128MiB");
    refuse("ingest: {commit_size: 1000000}", "a.yaml:1:23", "expected a size like 128MiB");
    refuse("ingest: {commit_size: -1MiB}", "a.yaml:1:23", "expected a size");
    refuse("ingest: {commit_size: 1B}", "a.yaml:1:23", "expected 4KiB to 64MiB");
    refuse("ingest: {memory: 99999999TiB}", "a.yaml:1:18", "expected a size");
    refuse("ingest: {commit_interval: 1}", "a.yaml:1:27", "expected a span like 30d");
    refuse("ingest: {commit_interval: 1M}", "a.yaml:1:27", "expected a span like 30d");
    refuse("ingest: {commit_interval: 2h}", "a.yaml:1:27", "expected 1ms to 1h");
    refuse("history: 999999999999y", "a.yaml:1:10", "expected a span");
    refuse("ingest: {commit_size: 64MiB, segment_size: 1MiB}", "a.yaml:1:9", "larger than segment");
}

Test(config, compaction_is_scheduled_by_day_or_span)
{
    struct aq_config *config = parse("compaction: {schedule: 02:30, rate_limit: 50MiB}\n");
    cr_assert_eq(config->compaction_schedule.zone, aq_zone_utc());
    cr_assert_eq(config->compaction_schedule.hour, 2);
    cr_assert_eq(config->compaction_schedule.minute, 30);
    cr_assert_eq(config->compaction_rate_bytes, 50 << 20);
    aq_config_destroy(config);
    config = parse("compaction: {schedule: 6h}\n");
    cr_assert_null(config->compaction_schedule.zone);
    cr_assert_eq(config->compaction_schedule.every_us, 6 * AQ_US_PER_HOUR);
    cr_assert_eq(config->compaction_rate_bytes, 0);
    aq_config_destroy(config);
    refuse("compaction: {schedule: 25:00}", "a.yaml:1:24", "a time of day");
    refuse("compaction: {schedule: 02:30 Mars}", "a.yaml:1:24", "\"02:30 Mars\"");
    refuse("compaction: {schedule: 1s}", "a.yaml:1:24", "out of bounds");
    refuse("compaction: {rate_limit: 1B}", "a.yaml:1:26", "out of bounds");
}

Test(config, compaction_has_a_memory_limit)
{
    struct aq_config *config = parse("compaction: {memory: 64MiB}\n");
    cr_assert_eq(config->compaction_memory_bytes, 64 << 20);
    aq_config_destroy(config);
    config = parse("compaction: {late: 1h}\n");
    cr_assert_eq(config->compaction_memory_bytes, 1 << 30);
    aq_config_destroy(config);
    refuse("compaction: {memory: 1MiB}", "a.yaml:1:22", "out of bounds");
}

Test(config, environment)
{
    setenv("AQ_TEST_HOME", "/x y: [1]", 1);
    unsetenv("AQ_TEST_NONE");
    struct aq_config *config =
        parse("store: ${AQ_TEST_HOME}/s\nviews: {v: \"$${x} $ ${AQ_TEST_NONE:d}\"}");
    cr_assert_str_eq(config->store, "/x y: [1]/s", "its value is never read as YAML");
    cr_assert_str_eq(config->views[0].sql, "${x} $ d");
    aq_config_destroy(config);
    refuse("store: ${AQ_TEST_NONE}", "a.yaml:1:8", "set it, or write ${AQ_TEST_NONE:default}");
    refuse("store: ${AQ_TEST_NONE", "a.yaml:1:8", "NAME}");
    refuse("store: ${1}", "a.yaml:1:8", "NAME}");
    refuse("store: ${AQ_TEST_NONE:a", "a.yaml:1:8", "closing");
    refuse("store: ${AQ_TEST_NONE:${AQ_TEST_HOME}}", "a.yaml:1:8", "one level");
}

Test(config, yaml_is_bounded)
{
    refuse("store: &a x\nviews: {v: *a}\n", "a.yaml:1:8", "anchors (&a) are not supported");
    refuse("store: *a\n", "a.yaml:1:8", "aliases (*a) are not supported");
    refuse("store: !!str x\n", "a.yaml:1:8", "tags");
    refuse("store: \"a\\0b\"\n", "a.yaml:1:8", "NUL");
    refuse("store: x\n---\nstore: y\n", "a.yaml:2:1", "second document");
    refuse("store: \"x\n", "a.yaml:2:1", "not valid YAML");
    refuse("a: [[[[[[[[[[[[[[[[[[[[[[[[[[", "a.yaml:1:19", "deeper than 16");
    char *large = calloc(1, (1 << 20) + 2);
    memset(large, '#', (1 << 20) + 1);
    refuse(large, "a.yaml", "at most");
    free(large);
}

Test(config, missing_file)
{
    struct aq_config *config = NULL;
    struct aq_error err = {0};
    cr_assert_eq(aq_config_load("/none/a.yaml", &config, &err), AQ_NOT_FOUND);
    cr_assert_str_eq(err.path, "/none/a.yaml");
}

Test(config, show_is_a_config_again_without_secrets)
{
    const char more[] = "tier: {to: s3://b/p, secret_key: hunter2, access_key: hunter2}\n"
                        "http: {listen: '127.0.0.1:1', token: hunter2}\n";
    char text[4096];
    snprintf(text, sizeof text, "%s%s", air, more);
    struct aq_config *config = parse(text);
    struct aq_bytes first = {0};
    cr_assert_eq(aq_config_show(config, &first), AQ_OK);
    aq_bytes_u8(&first, 0);
    const char *shown = (const char *)first.data;
    cr_assert_null(strstr(shown, "hunter2"), "%s", shown);
    cr_assert_not_null(strstr(shown, "segment_size: 64MiB"), "defaults are filled in: %s", shown);
    cr_assert_not_null(strstr(shown, "series: [station]"), "%s", shown);
    struct aq_config *again = parse(shown);
    struct aq_bytes second = {0};
    cr_assert_eq(aq_config_show(again, &second), AQ_OK);
    aq_bytes_u8(&second, 0);
    cr_assert_str_eq((const char *)second.data, shown);
    aq_bytes_deinit(&first);
    aq_bytes_deinit(&second);
    aq_config_destroy(config);
    aq_config_destroy(again);
}

#define KEPT_COLUMNS " time: t, columns: {k: {type: text}, t: {type: timestamptz}}}}\n"

Test(config, retention_by_patterns_of_keys)
{
    struct aq_config *config =
        parse("datasets: {d: {key: k, retention: {\"test-*\": 7d, default: 10y, hanoi: forever, "
              "rejects: 30d}," KEPT_COLUMNS);
    const struct aq_retention *retention = &config->retentions[0];
    cr_assert_str_eq(retention->dataset, "d");
    cr_assert_eq(retention->default_us, 3650 * AQ_US_PER_DAY);
    cr_assert_eq(retention->rejects_us, 30 * AQ_US_PER_DAY);
    cr_assert_eq(retention->rule_count, 2, "in the order in which they stand");
    cr_assert_str_eq(retention->rules[0].pattern, "test-*");
    cr_assert_eq(retention->rules[0].span_us, 7 * AQ_US_PER_DAY);
    cr_assert_eq(retention->rules[1].span_us, AQ_RETENTION_FOREVER);
    struct aq_bytes shown = {0};
    cr_assert_eq(aq_config_show(config, &shown), AQ_OK);
    aq_bytes_u8(&shown, 0);
    cr_assert_not_null(strstr((char *)shown.data, "retention: {default: 10y, rejects: 30d, "
                                                  "\"test-*\": 1w, hanoi: forever}"),
                       "%s", (char *)shown.data);
    aq_bytes_deinit(&shown);
    aq_config_destroy(config);
    config = parse("datasets: {d: {retention: 2d," KEPT_COLUMNS);
    cr_assert_eq(config->retentions[0].rejects_us, 2 * AQ_US_PER_DAY, "as the rows");
    aq_config_destroy(config);
    config = parse("datasets: {d: {" KEPT_COLUMNS);
    cr_assert_eq(config->retentions[0].default_us, AQ_RETENTION_FOREVER);
    aq_config_destroy(config);
    refuse("datasets: {d: {retention: {a: 1d}," KEPT_COLUMNS, "a.yaml:1:28", "no key");
    refuse("datasets: {d: {retention: {default: often}," KEPT_COLUMNS, "a.yaml:1:37", "span");
    refuse("datasets: {d: {retention: 0," KEPT_COLUMNS, "a.yaml:1:27", "retention");
    refuse("datasets: {d: {retention: [1d]," KEPT_COLUMNS, "a.yaml:1:27", "retention");
}
