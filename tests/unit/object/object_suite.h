/* What every back end of the object-store API does, as functions that take a store: test_object.c runs them
 * on a directory, test_object_s3.c on servers. `conditions` is false for a back end that has none. */
#ifndef AQ_TESTS_UNIT_OBJECT_SUITE_H
#define AQ_TESTS_UNIT_OBJECT_SUITE_H

#include "engine/object/object.h"

#include "tests/unit/scratch.h"

#include <pthread.h>
#include <stdatomic.h>

/** Repeatable bytes; no two stretches of a file are alike. */
static inline void suite_fill(uint8_t *out, size_t size, uint64_t from)
{
    for (size_t i = 0; i < size; i++) {
        uint64_t word = (from + i) / 8 * UINT64_C(0x9E3779B97F4A7C15);
        out[i] = (uint8_t)((word ^ word >> 29) >> (from + i) % 8 * 8);
    }
}

/** Creates; where there are no conditions by asking first. */
static inline enum aq_status suite_create(struct aq_object_store *store, bool conditions,
                                          const char *name, struct aq_slice data)
{
    if (conditions)
        return aq_object_put_if_absent(store, name, data, NULL);
    return aq_object_exists(store, name) ? AQ_EXISTS : aq_object_put(store, name, data, NULL);
}

static inline void suite_expect(struct aq_object_store *store, const char *name,
                                struct aq_slice wanted)
{
    struct aq_bytes bytes = {0};
    struct aq_error err = {0};
    cr_assert_eq(aq_object_get(store, name, wanted.size, &bytes, &err), AQ_OK, "%s: %s", name,
                 err.message);
    cr_assert(aq_slice_equal(aq_bytes_view(&bytes), wanted), "%s has other bytes", name);
    aq_bytes_deinit(&bytes);
}

static inline void suite_put_get_delete(struct aq_object_store *store, bool conditions)
{
    struct aq_error err = {0};
    struct aq_bytes bytes = {0};
    const char *name = "catalog/1";
    cr_assert_eq(suite_create(store, conditions, name, aq_slice_of("one")), AQ_OK);
    cr_assert_eq(suite_create(store, conditions, name, aq_slice_of("two")), AQ_EXISTS);
    suite_expect(store, name, aq_slice_of("one"));
    cr_assert_eq(aq_object_put(store, name, aq_slice_of("three"), NULL), AQ_OK);
    suite_expect(store, name, aq_slice_of("three"));
    cr_assert_eq(aq_object_settle(store, name, NULL), AQ_OK);
    cr_assert(aq_object_exists(store, name));
    cr_assert_eq(aq_object_get(store, name, 4, &bytes, &err), AQ_LIMIT);
    cr_assert_eq(bytes.size, 0);
    cr_assert_eq(aq_object_delete(store, name, NULL), AQ_OK);
    cr_assert_eq(aq_object_delete(store, name, NULL), AQ_OK);
    cr_assert_not(aq_object_exists(store, name));
    cr_assert_eq(aq_object_get(store, name, 1000, &bytes, &err), AQ_NOT_FOUND);
    cr_assert_not_null(strstr(err.path, name));
    uint64_t size;
    cr_assert_eq(aq_object_head(store, name, &size, NULL), AQ_NOT_FOUND);
    uint8_t byte;
    cr_assert_eq(aq_object_get_range(store, name, 0, &byte, 1, NULL), AQ_NOT_FOUND);
    aq_bytes_deinit(&bytes);
}

/** Bytes of all sizes, appended behind what the buffer holds. */
static inline void suite_sizes(struct aq_object_store *store)
{
    static const size_t sizes[] = {0, 1, 65535, 65536, 65537, (1u << 20) + 3};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        struct aq_bytes bytes = {0};
        uint64_t size = 1;
        uint8_t *data = malloc(sizes[i] + 1);
        suite_fill(data, sizes[i], 0);
        struct aq_slice wanted = aq_slice_make(data, sizes[i]);
        cr_assert_eq(aq_object_put(store, "data/sized", wanted, NULL), AQ_OK);
        cr_assert_eq(aq_object_head(store, "data/sized", &size, NULL), AQ_OK);
        cr_assert_eq(size, sizes[i]);
        aq_bytes_chars(&bytes, "before");
        cr_assert_eq(aq_object_get(store, "data/sized", sizes[i], &bytes, NULL), AQ_OK);
        cr_assert_eq(bytes.size, sizes[i] + 6);
        cr_assert_eq(memcmp(bytes.data, "before", 6), 0);
        cr_assert_eq(memcmp(bytes.data + 6, data, sizes[i]), 0);
        aq_bytes_deinit(&bytes);
        free(data);
    }
}

static inline void suite_names(struct aq_object_store *store, bool conditions)
{
    char longest[201];
    memset(longest, 'n', sizeof longest - 1);
    memcpy(longest, "data/", 5);
    longest[200] = '\0';
    const char *const good[] = {
        "a",    "city=hanoi/day=2025-02-14/part_1.aqa", "A-b_c.d=e", "==/==", "0/1/2/3/4/5/6/7/8/9",
        longest};
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        struct aq_slice name = aq_slice_of(good[i]);
        cr_assert_eq(suite_create(store, conditions, good[i], name), AQ_OK, "%s", good[i]);
        cr_assert_eq(suite_create(store, conditions, good[i], name), AQ_EXISTS, "%s", good[i]);
        suite_expect(store, good[i], name);
    }
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
        cr_assert_eq(aq_object_delete(store, good[i], NULL), AQ_OK);
    const char *const bad[] = {"",        "/etc/x", "../x",   "a/../b", "a//b", "a/",
                               ".hidden", "a/.b",   "sp ace", "nul\n",  "a\\b", "a?b"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        cr_assert_eq(aq_object_put(store, bad[i], aq_slice_of("x"), NULL), AQ_INVALID, "%s",
                     bad[i]);
}

struct suite_listing {
    char first[64]; /* names and sizes, as far as they fit */
    size_t count;
    size_t stop_at;
    char last[256];
    bool ascending;
};

static inline enum aq_status suite_visit(void *context, const char *name, uint64_t size_bytes)
{
    struct suite_listing *listing = context;
    size_t used = strlen(listing->first);
    snprintf(listing->first + used, sizeof listing->first - used, "%s:%d ", name, (int)size_bytes);
    listing->ascending = listing->ascending && strcmp(listing->last, name) < 0;
    snprintf(listing->last, sizeof listing->last, "%s", name);
    listing->count++;
    return listing->count == listing->stop_at ? AQ_INTERRUPTED : AQ_OK;
}

static inline enum aq_status suite_list(struct aq_object_store *store, const char *prefix,
                                        struct suite_listing *listing)
{
    *listing = (struct suite_listing){.ascending = true, .stop_at = listing->stop_at};
    return aq_object_list(store, prefix, suite_visit, listing, NULL);
}

static inline void suite_lists(struct aq_object_store *store)
{
    struct suite_listing listing = {0};
    const char *const names[] = {"list/b", "list/a", "list/B", "list/a=1", "list/sub/x", "top"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        cr_assert_eq(aq_object_put(store, names[i], aq_slice_make("xyz", i % 3), NULL), AQ_OK);
    cr_assert_eq(suite_list(store, "list/", &listing), AQ_OK);
    cr_assert_str_eq(listing.first, "list/B:2 list/a:1 list/a=1:0 list/b:0 ");
    cr_assert_eq(suite_list(store, "list/a", &listing), AQ_OK);
    cr_assert_str_eq(listing.first, "list/a:1 list/a=1:0 ");
    cr_assert_eq(suite_list(store, "list/sub/", &listing), AQ_OK);
    cr_assert_str_eq(listing.first, "list/sub/x:1 ");
    cr_assert_eq(suite_list(store, "", &listing), AQ_OK);
    cr_assert_str_eq(listing.first, "top:2 ");
    cr_assert_eq(suite_list(store, "none/", &listing), AQ_OK);
    cr_assert_eq(listing.count, 0);
    listing.stop_at = 2;
    cr_assert_eq(suite_list(store, "list/", &listing), AQ_INTERRUPTED);
    cr_assert_eq(listing.count, 2);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        cr_assert_eq(aq_object_delete(store, names[i], NULL), AQ_OK);
}

/** More than S3 sends on one page. */
static inline void suite_long_list(struct aq_object_store *store)
{
    enum { COUNT = 1042 };
    char name[64];
    struct suite_listing listing = {0};
    for (int i = 0; i < COUNT; i++) {
        snprintf(name, sizeof name, "many/k=%05d", i * 7919 % COUNT);
        cr_assert_eq(aq_object_put(store, name, aq_slice_of(""), NULL), AQ_OK);
    }
    cr_assert_eq(suite_list(store, "many/", &listing), AQ_OK);
    cr_assert_eq(listing.count, COUNT);
    cr_assert(listing.ascending);
    cr_assert_str_eq(listing.last, "many/k=01041");
    for (int i = 0; i < COUNT; i++) {
        snprintf(name, sizeof name, "many/k=%05d", i);
        cr_assert_eq(aq_object_delete(store, name, NULL), AQ_OK);
    }
}

static inline void suite_ranges(struct aq_object_store *store)
{
    enum { SIZE = 300000, COUNT = 40, EACH = 7001 };
    uint8_t *data = malloc(SIZE);
    uint8_t *got = calloc(1, SIZE);
    struct aq_object_range ranges[COUNT];
    struct aq_error err = {0};
    suite_fill(data, SIZE, 0);
    cr_assert_eq(aq_object_put(store, "data/r", aq_slice_make(data, SIZE), NULL), AQ_OK);
    for (size_t i = 0; i < COUNT; i++)
        ranges[i] = (struct aq_object_range){"data/r", i * 7300, EACH, got + i * EACH};
    cr_assert_eq(aq_object_get_ranges(store, ranges, COUNT, &err), AQ_OK, "%s", err.message);
    for (size_t i = 0; i < COUNT; i++)
        cr_assert_eq(memcmp(data + i * 7300, got + i * EACH, EACH), 0);
    cr_assert_eq(aq_object_get_range(store, "data/r", 0, got, SIZE - EACH, NULL), AQ_OK);
    cr_assert_eq(memcmp(data, got, SIZE - EACH), 0);
    cr_assert_eq(aq_object_get_range(store, "data/r", SIZE - 1, got, 1, NULL), AQ_OK);
    cr_assert_eq(got[0], data[SIZE - 1]);
    cr_assert_eq(aq_object_get_range(store, "data/r", SIZE - 1, got, 2, &err), AQ_CORRUPT);
    cr_assert_eq(err.offset, SIZE);
    cr_assert_eq(aq_object_get_range(store, "data/r", SIZE, got, 1, &err), AQ_CORRUPT);
    ranges[3].name = "data/none";
    cr_assert_eq(aq_object_get_ranges(store, ranges, COUNT, NULL), AQ_NOT_FOUND);
    cr_assert_eq(aq_object_get_ranges(store, NULL, 0, NULL), AQ_OK);
    cr_assert_eq(aq_object_delete(store, "data/r", NULL), AQ_OK);
    free(data);
    free(got);
}

/** A file of `size` suite_fill bytes in the scratch folder, open to read. */
static inline int suite_file(size_t size)
{
    enum { STEP = 1 << 16 };
    static uint8_t step[STEP];
    int fd = open(scratch_file("source"), O_RDWR | O_CREAT | O_TRUNC, 0600);
    cr_assert_geq(fd, 0);
    for (size_t at = 0; at < size; at += STEP) {
        size_t count = size - at < STEP ? size - at : STEP;
        suite_fill(step, count, at);
        cr_assert_eq(write(fd, step, count), (ssize_t)count);
    }
    return fd;
}

static inline enum aq_status suite_keep_done(void *context, uint64_t bytes_done)
{
    cr_assert_geq(bytes_done, *(uint64_t *)context);
    *(uint64_t *)context = bytes_done;
    return AQ_OK;
}

static inline enum aq_status suite_refuse(void *context, uint64_t bytes_done)
{
    (void)context;
    (void)bytes_done;
    return AQ_INTERRUPTED;
}

/** `whole`: what is broken off leaves nothing, as the object appears after all has been sent. */
static inline void suite_put_file(struct aq_object_store *store, size_t size, bool whole)
{
    int fd = suite_file(size);
    uint64_t done = 0;
    uint64_t found = 0;
    struct aq_error err = {0};
    cr_assert_eq(aq_object_put_file(store, "data/a/1", fd, size, suite_keep_done, &done, &err),
                 AQ_OK, "%s", err.message);
    cr_assert_eq(done, size);
    cr_assert_eq(aq_object_put_file(store, "data/a/1", fd, size, NULL, NULL, NULL), AQ_EXISTS);
    cr_assert_eq(aq_object_head(store, "data/a/1", &found, NULL), AQ_OK);
    cr_assert_eq(found, size);
    uint8_t *wanted = malloc(size + 1);
    suite_fill(wanted, size, 0);
    suite_expect(store, "data/a/1", aq_slice_make(wanted, size));
    free(wanted);
    cr_assert_eq(aq_object_put_file(store, "data/a/2", fd, size + 1, NULL, NULL, NULL), AQ_CORRUPT);
    if (size > 0 && whole)
        cr_assert_eq(aq_object_put_file(store, "data/a/2", fd, size, suite_refuse, NULL, NULL),
                     AQ_INTERRUPTED);
    cr_assert_eq(aq_object_head(store, "data/a/2", &found, NULL), AQ_NOT_FOUND);
    cr_assert_eq(aq_object_delete(store, "data/a/1", NULL), AQ_OK);
    close(fd);
}

struct suite_race {
    struct aq_object_store *store;
    unsigned racer;
    unsigned wins;
    unsigned faults;
};

enum { SUITE_RACERS = 8, SUITE_NAMES = 20 };

static inline void *suite_run_racer(void *context)
{
    struct suite_race *race = context;
    for (int n = 0; n < SUITE_NAMES; n++) {
        char name[32], text[32];
        struct aq_bytes bytes = {0};
        snprintf(name, sizeof name, "race/%02d", n);
        snprintf(text, sizeof text, "racer %u", race->racer);
        enum aq_status status = aq_object_put_if_absent(race->store, name, aq_slice_of(text), NULL);
        race->wins += status == AQ_OK;
        race->faults += status != AQ_OK && status != AQ_EXISTS;
        bool same = aq_object_get(race->store, name, 100, &bytes, NULL) == AQ_OK &&
                    aq_slice_equal(aq_bytes_view(&bytes), aq_slice_of(text));
        race->faults += same != (status == AQ_OK);
        aq_bytes_deinit(&bytes);
    }
    return NULL;
}

/** Of many threads that create one name, one wins: the one whose bytes are there. */
static inline void suite_one_creator_wins(struct aq_object_store *store)
{
    pthread_t threads[SUITE_RACERS];
    struct suite_race races[SUITE_RACERS] = {0};
    unsigned wins = 0;
    for (unsigned r = 0; r < SUITE_RACERS; r++) {
        races[r] = (struct suite_race){.store = store, .racer = r};
        cr_assert_eq(pthread_create(&threads[r], NULL, suite_run_racer, &races[r]), 0);
    }
    for (unsigned r = 0; r < SUITE_RACERS; r++) {
        pthread_join(threads[r], NULL);
        cr_assert_eq(races[r].faults, 0);
        wins += races[r].wins;
    }
    cr_assert_eq(wins, SUITE_NAMES);
}

#endif
