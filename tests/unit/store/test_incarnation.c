/* Incarnations of a store in its bucket: who owns it. */
#include "engine/store/remote/remote.h"
#include "tests/unit/scratch.h"

#define NAME_2 "incarnations/00000000000000000002"
/* The worked example of docs/tier-format.md. */
#define EXAMPLE_2                                                                \
    "aqstore incarnation 00000000000000000002 000102030405060708090a0b0c0d0e0f " \
    "f0e0d0c0b0a090807060504030201000 eeb2b5cd26d41b1d\n"

static struct aq_object_store *open_bucket(void)
{
    struct aq_object_store *bucket = NULL;
    cr_assert_eq(aq_object_open_dir(scratch_file("bucket"), true, &bucket, NULL), AQ_OK);
    return bucket;
}

static struct aq_store_id example_id(void)
{
    struct aq_store_id id;
    for (size_t i = 0; i < sizeof id.bytes; i++)
        id.bytes[i] = (uint8_t)i;
    return id;
}

static uint64_t newest(struct aq_object_store *bucket, enum aq_status expected)
{
    uint64_t incarnation = 99;
    struct aq_store_id id = {{0}};
    struct aq_store_id example = example_id();
    struct aq_error err = {0};
    cr_assert_eq(aq_remote_incarnation(bucket, &incarnation, &id, &err), expected, "%s: %s",
                 err.path, err.message);
    if (expected == AQ_OK && incarnation > 0)
        cr_assert_eq(memcmp(&id, &example, sizeof id), 0);
    return incarnation;
}

Test(incarnation, is_registered_once)
{
    scratch_make();
    struct aq_object_store *bucket = open_bucket();
    struct aq_store_id id = example_id();
    cr_assert_eq(newest(bucket, AQ_OK), 0);
    cr_assert_eq(aq_remote_register(bucket, 1, &id, NULL), AQ_OK);
    cr_assert_eq(newest(bucket, AQ_OK), 1);
    cr_assert_eq(aq_remote_register(bucket, 1, &id, NULL), AQ_EXISTS);
    cr_assert_eq(aq_remote_register(bucket, 2, &id, NULL), AQ_OK);
    cr_assert_eq(newest(bucket, AQ_OK), 2);
    aq_object_close(bucket);
}

Test(incarnation, is_found_without_its_hint_and_beyond_an_old_one)
{
    scratch_make();
    struct aq_object_store *bucket = open_bucket();
    struct aq_store_id id = example_id();
    struct aq_bytes hint = {0};
    /* A store that came to this bucket as incarnation 3. */
    cr_assert_eq(aq_remote_register(bucket, 3, &id, NULL), AQ_OK);
    cr_assert_eq(aq_object_get(bucket, "incarnations/latest", 1000, &hint, NULL), AQ_OK);
    cr_assert_eq(aq_remote_register(bucket, 4, &id, NULL), AQ_OK);
    cr_assert_eq(aq_object_delete(bucket, "incarnations/latest", NULL), AQ_OK);
    cr_assert_eq(newest(bucket, AQ_OK), 4);
    cr_assert_eq(aq_object_put(bucket, "incarnations/latest", aq_bytes_view(&hint), NULL), AQ_OK);
    cr_assert_eq(newest(bucket, AQ_OK), 4);
    hint.data[30] ^= 1;
    cr_assert_eq(aq_object_put(bucket, "incarnations/latest", aq_bytes_view(&hint), NULL), AQ_OK);
    cr_assert_eq(newest(bucket, AQ_OK), 4);
    aq_bytes_deinit(&hint);
    aq_object_close(bucket);
}

Test(incarnation, has_the_bytes_of_the_document_and_no_others)
{
    scratch_make();
    struct aq_object_store *bucket = open_bucket();
    char text[] = EXAMPLE_2;
    cr_assert_eq(strlen(text), 124);
    cr_assert_eq(aq_object_put(bucket, NAME_2, aq_slice_of(text), NULL), AQ_OK);
    cr_assert_eq(newest(bucket, AQ_OK), 2);
    for (size_t i = 0; i < strlen(EXAMPLE_2); i++) {
        text[i] ^= 1;
        cr_assert_eq(aq_object_put(bucket, NAME_2, aq_slice_of(text), NULL), AQ_OK);
        newest(bucket, AQ_CORRUPT);
        text[i] ^= 1;
    }
    struct aq_slice cut = aq_slice_make(text, 60);
    cr_assert_eq(aq_object_put(bucket, NAME_2, cut, NULL), AQ_OK);
    newest(bucket, AQ_CORRUPT);
    /* Another's bytes under this name. */
    cr_assert_eq(aq_object_delete(bucket, NAME_2, NULL), AQ_OK);
    cr_assert_eq(
        aq_object_put(bucket, "incarnations/00000000000000000005", aq_slice_of(EXAMPLE_2), NULL),
        AQ_OK);
    newest(bucket, AQ_CORRUPT);
    aq_object_close(bucket);
}

static enum aq_status keep_name(void *context, const char *name, uint64_t size_bytes)
{
    cr_assert_eq(size_bytes, 3);
    snprintf(context, 100, "%s", name);
    return AQ_OK;
}

Test(incarnation, has_a_mirror_of_its_own)
{
    scratch_make();
    struct aq_object_store *bucket = open_bucket();
    struct aq_object_store *mirror = NULL;
    struct aq_bytes bytes = {0};
    char name[100] = "";
    cr_assert_eq(aq_remote_mirror(bucket, 7, &mirror, NULL), AQ_OK);
    cr_assert_eq(aq_object_put(mirror, "catalog/x", aq_slice_of("abc"), NULL), AQ_OK);
    cr_assert_eq(aq_object_get(bucket, "mirror/00000000000000000007/catalog/x", 9, &bytes, NULL),
                 AQ_OK);
    cr_assert_eq(aq_object_list(mirror, "catalog/", keep_name, name, NULL), AQ_OK);
    cr_assert_str_eq(name, "catalog/x");
    cr_assert(strstr(aq_object_path(mirror, "catalog/x").text,
                     "bucket/mirror/00000000000000000007/catalog/x") != NULL);
    cr_assert_eq(aq_object_get(mirror, "catalog/y", 9, &bytes, NULL), AQ_NOT_FOUND);
    char long_name[AQ_OBJECT_NAME_MAX + 1];
    memset(long_name, 'a', sizeof long_name - 1);
    long_name[sizeof long_name - 1] = '\0';
    cr_assert_eq(aq_object_put(mirror, long_name, aq_slice_of("abc"), NULL), AQ_INVALID);
    aq_bytes_deinit(&bytes);
    aq_object_close(mirror);
    aq_object_close(bucket);
}
