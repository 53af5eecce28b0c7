/* The tier and a restore, killed between any two requests to the bucket: the next run loses nothing. And a bucket
 * that spoils what is put. */
#include <limits.h>
#include <signal.h>
#include <sys/wait.h>

#include "engine/object/object_backend.h"
#include "tests/unit/compaction/tier_fixture.h"

/* A bucket of which the process is killed at one request, before or after it is done. */
struct deadly {
    struct aq_object_store base;
    struct aq_object_store *below;
    unsigned left;
    bool after;
    bool spoils; /* what is put, instead of killing */
};

static struct aq_object_store *enter(const struct aq_object_store *store)
{
    struct deadly *deadly = (struct deadly *)store;
    if (deadly->left-- == 0 && !deadly->after)
        raise(SIGKILL);
    return deadly->below;
}

static enum aq_status leave(const struct aq_object_store *store, enum aq_status status)
{
    const struct deadly *deadly = (const struct deadly *)store;
    if (deadly->left == UINT_MAX && deadly->after)
        raise(SIGKILL);
    return status;
}

static enum aq_status deadly_put(struct aq_object_store *store, const char *name,
                                 struct aq_slice data, bool if_absent, struct aq_error *err)
{
    struct aq_object_store *below = enter(store);
    return leave(store, below->backend->put(below, name, data, if_absent, err));
}

static enum aq_status deadly_put_file(struct aq_object_store *store, const char *name,
                                      const struct aq_object_file *file, struct aq_error *err)
{
    struct aq_object_store *below = enter(store);
    enum aq_status status = leave(store, below->backend->put_file(below, name, file, err));
    struct aq_bytes bytes = {0};
    if (status != AQ_OK || !((struct deadly *)store)->spoils)
        return status;
    cr_assert_eq(aq_object_get(below, name, UINT64_MAX, &bytes, NULL), AQ_OK);
    bytes.data[bytes.size / 2] ^= 1;
    cr_assert_eq(aq_object_put(below, name, aq_bytes_view(&bytes), NULL), AQ_OK);
    aq_bytes_deinit(&bytes);
    return AQ_OK;
}

static enum aq_status deadly_get(struct aq_object_store *store, const char *name, uint64_t size_max,
                                 struct aq_bytes *out, struct aq_error *err)
{
    struct aq_object_store *below = enter(store);
    return leave(store, below->backend->get(below, name, size_max, out, err));
}

static enum aq_status deadly_get_range(struct aq_object_store *store, const char *name,
                                       uint64_t offset, void *buffer, size_t size,
                                       struct aq_error *err)
{
    struct aq_object_store *below = enter(store);
    return leave(store, below->backend->get_range(below, name, offset, buffer, size, err));
}

static enum aq_status deadly_head(struct aq_object_store *store, const char *name,
                                  uint64_t *size_bytes, struct aq_error *err)
{
    struct aq_object_store *below = enter(store);
    return leave(store, below->backend->head(below, name, size_bytes, err));
}

static enum aq_status deadly_delete(struct aq_object_store *store, const char *name,
                                    struct aq_error *err)
{
    struct aq_object_store *below = enter(store);
    return leave(store, below->backend->delete (below, name, err));
}

static enum aq_status deadly_list(struct aq_object_store *store, const char *prefix,
                                  aq_object_visit_fn visit, void *context, struct aq_error *err)
{
    struct aq_object_store *below = enter(store);
    return leave(store, below->backend->list(below, prefix, visit, context, err));
}

static void deadly_close(struct aq_object_store *store)
{
    (void)store;
}

static const struct aq_object_backend deadly_backend = {
    .close = deadly_close,
    .put = deadly_put,
    .put_file = deadly_put_file,
    .get = deadly_get,
    .get_range = deadly_get_range,
    .head = deadly_head,
    .delete = deadly_delete,
    .list = deadly_list,
};

/* In a process of its own: all that a run of `aqstore tier` does. True when it was killed. */
static bool tier_until_killed(const char *home, unsigned request, bool after)
{
    pid_t child = scratch_fork();
    if (child == 0) {
        struct aq_object_store *below = open_bucket("bucket");
        struct deadly deadly = {.base = {.backend = &deadly_backend, .root = below->root},
                                .below = below,
                                .left = request,
                                .after = after};
        struct aq_store *store = open_store(home, false);
        struct aq_tier_options options = everything(&deadly.base);
        struct aq_tier_report report;
        struct aq_gc_report gc;
        bool done = aq_tier(store, &options, &report, NULL) == AQ_OK &&
                    aq_gc(store, &(struct aq_gc_options){.now_us = aq_clock_wall_us()}, &gc,
                          NULL) == AQ_OK &&
                    aq_tier_gc(store, &deadly.base, DAY, false, NULL, NULL, &gc, NULL) == AQ_OK;
        _exit(done ? 0 : 1);
    }
    int status;
    cr_assert_eq(waitpid(child, &status, 0), child);
    cr_assert(WIFSIGNALED(status) || WEXITSTATUS(status) == 0);
    return WIFSIGNALED(status);
}

static void copy_home(const char *from, const char *to)
{
    char command[2400];
    char target[512];
    snprintf(target, sizeof target, "%s", scratch_file(to));
    snprintf(command, sizeof command, "rm -rf %s %s/bucket && cp -a %s %s", target, scratch_path,
             scratch_file(from), target);
    cr_assert_eq(system(command), 0);
}

/* No file may have left the home that the bucket alone would not bring back. */
static void expect_mirrored(struct aq_store *store, struct aq_object_store *bucket)
{
    const struct aq_catalog *catalog = catalog_of(store);
    for (size_t i = 0; i < catalog->file_count; i++) {
        const struct aq_catalog_file *file = &catalog->files[i];
        if (!file->evicted)
            continue;
        const struct aq_catalog *mirror = mirror_of(bucket);
        const struct aq_catalog_file *mirrored = aq_catalog_file(mirror, file->file_id);
        cr_assert_not_null(mirrored);
        cr_assert(aq_slice_equal(mirrored->object, file->object));
        aq_catalog_release(mirror);
    }
    aq_catalog_release(catalog);
}

/* After the kill: run again; nothing is lost, nothing there twice, all else is an orphan. */
static void expect_converged(struct air *air, const char *home)
{
    struct aq_object_store *bucket = open_bucket("bucket");
    struct aq_tier_options options = everything(bucket);
    air_bucket = bucket;
    air_open(air, home);
    expect_mirrored(air->store, bucket);
    tier(air->store, &options, AQ_OK);
    tier(air->store, &options, AQ_OK);
    gc_now(air->store, false);
    const struct aq_catalog *catalog = catalog_of(air->store);
    cr_assert_eq(catalog->file_count, 3);
    expect_copies(catalog, bucket);
    unsigned objects = count_objects(bucket, "data/");
    unsigned mirrors = count_objects(bucket, "mirror/00000000000000000001/catalog/") - 1;
    struct aq_gc_report dry = tier_gc(air->store, bucket, 0, true);
    cr_assert_eq(dry.file_count, objects - 3 + (mirrors > 2 ? mirrors - 2 : 0));
    tier_gc(air->store, bucket, 0, false);
    cr_assert_eq(count_objects(bucket, "data/"), 3);
    aq_catalog_release(catalog);
    expect_all_rows(air, true);
    aq_store_close(air->store);
    air_bucket = NULL;
    aq_object_close(bucket);
}

Test(tier_kills, goes_on_after_a_kill_at_any_request)
{
    scratch_make();
    struct air air;
    make_air(&air, "template");
    aq_store_close(air.store);
    for (int after = 0; after < 2; after++) {
        unsigned request = 0;
        bool killed = true;
        for (; killed; request++) {
            copy_home("template", "home");
            killed = tier_until_killed("home", request, after);
            expect_converged(&air, "home");
        }
        cr_assert_gt(request, 20);
    }
}

Test(tier_kills, believes_no_copy_that_it_has_not_read_back)
{
    scratch_make();
    struct air air;
    make_air(&air, "home");
    struct aq_object_store *bucket = open_bucket("bucket");
    struct deadly spoiling = {.base = {.backend = &deadly_backend, .root = bucket->root},
                              .below = bucket,
                              .left = UINT_MAX - 1,
                              .spoils = true};
    struct aq_tier_options options = everything(&spoiling.base);
    uint64_t before = head(air.store);
    tier(air.store, &options, AQ_IO);
    cr_assert_eq(head(air.store), before);
    cr_assert_eq(count_objects(bucket, "data/"), 0);
    expect_all_rows(&air, true);
    options.bucket = bucket;
    tier(air.store, &options, AQ_OK);
    aq_object_close(bucket);
    aq_store_close(air.store);
}

/* In a process of its own: a restore that is killed. */
static bool restore_until_killed(unsigned request, bool after)
{
    pid_t child = scratch_fork();
    if (child == 0) {
        struct aq_object_store *below = open_bucket("bucket");
        struct deadly deadly = {.base = {.backend = &deadly_backend, .root = below->root},
                                .below = below,
                                .left = request,
                                .after = after};
        struct aq_restore_report report;
        char home[512];
        snprintf(home, sizeof home, "%s", scratch_file("new"));
        _exit(aq_tier_restore(&deadly.base, home, aq_slice_of("x"), &report, NULL) == AQ_OK ? 0
                                                                                            : 1);
    }
    int status;
    cr_assert_eq(waitpid(child, &status, 0), child);
    cr_assert(WIFSIGNALED(status) || WEXITSTATUS(status) == 0);
    return WIFSIGNALED(status);
}

Test(tier_kills, restores_after_a_restore_that_was_killed)
{
    scratch_make();
    struct air air;
    make_air(&air, "home");
    struct aq_object_store *bucket = open_bucket("bucket");
    struct aq_tier_options options = everything(bucket);
    tier(air.store, &options, AQ_OK);
    aq_store_close(air.store);
    for (int after = 0; after < 2; after++) {
        bool killed = true;
        for (unsigned request = 0; killed; request++) {
            char command[1024];
            snprintf(command, sizeof command, "rm -rf %s", scratch_file("new"));
            cr_assert_eq(system(command), 0);
            killed = restore_until_killed(request, after);
            restore(bucket, "new", killed ? AQ_OK : AQ_EXISTS);
            air_bucket = bucket;
            air_open(&air, "new");
            expect_all_rows(&air, true);
            tier(air.store, &options, AQ_OK);
            aq_store_close(air.store);
        }
    }
    aq_object_close(bucket);
}
