/* Every edit and checkpoint that lies in catalog/: its own checksum, its number, its chain to the edit
 * before. What they say when applied is checked by opening the store, which the command does too. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/store/catalog/catalog_log.h"
#include "tools/verify/verify.h"

#define EDIT_BYTES_MAX ((uint64_t)1 << 30)
#define CATALOG_PREFIX "catalog/"

struct names {
    struct aq_arena arena;
    size_t count;
    size_t capacity;
    const char **list;
};

static enum aq_status keep_name(void *context, const char *name, uint64_t size_bytes)
{
    struct names *names = context;
    (void)size_bytes;
    if (names->count == names->capacity) {
        size_t capacity = names->capacity * 2 + 64;
        void *grown = realloc(names->list, capacity * sizeof(*names->list));
        if (grown == NULL)
            return AQ_NO_MEMORY;
        names->list = grown;
        names->capacity = capacity;
    }
    const char *copy = aq_arena_string(&names->arena, name);
    if (copy == NULL)
        return AQ_NO_MEMORY;
    names->list[names->count++] = copy;
    return AQ_OK;
}

/* The last edit seen, that the next one must name. */
struct chain {
    uint64_t number;
    uint64_t checksum;
};

static enum aq_status check_edit(struct aq_verify *verify, const char *path, struct aq_slice bytes,
                                 uint64_t number, bool checkpoint, struct chain *chain,
                                 struct aq_error *err)
{
    struct aq_arena arena = {0};
    struct aq_error fault = {.offset = -1};
    struct aq_edit_header header;
    struct aq_record *records = NULL;
    size_t record_count = 0;
    uint64_t checksum = 0;
    enum aq_status status =
        aq_edit_decode(bytes, &arena, &header, &records, &record_count, &checksum, &fault);
    aq_error_locate(&fault, status, path, 0);
    if (aq_verify_ends(status)) {
        *err = fault;
    } else if (status < 0) {
        aq_verify_fault(verify, &fault, "the catalog from edit %" PRIu64 " on", number);
        status = AQ_OK;
    } else if (header.number != number || header.checkpoint != checkpoint) {
        aq_verify_fault_at(verify, path, 0, "holds %s %" PRIu64 ", not the one it is named after",
                           header.checkpoint ? "checkpoint" : "edit", header.number);
    } else if (!checkpoint) {
        if (chain->number != 0 && chain->number + 1 == number &&
            header.previous_checksum != chain->checksum)
            aq_verify_fault_at(verify, path, 0, "does not follow edit %" PRIu64 " as it is now",
                               chain->number);
        *chain = (struct chain){.number = number, .checksum = checksum};
    }
    aq_arena_deinit(&arena);
    return status;
}

static void check_hint(struct aq_verify *verify, const char *path, struct aq_slice bytes)
{
    uint64_t number, checkpoint;
    if (!aq_catalog_parse_latest(bytes, &number, &checkpoint))
        aq_verify_fault_at(verify, path, 0,
                           "the hint is damaged; opening lists the catalog instead, and the next "
                           "commit writes the hint anew");
}

static enum aq_status check_object(struct aq_verify *verify, struct aq_object_store *objects,
                                   const char *home, const char *name, struct chain *chain,
                                   struct aq_error *err)
{
    uint64_t number = 0;
    bool checkpoint = false;
    char path[AQ_ERROR_PATH_MAX];
    bool hint = strcmp(name, AQ_CATALOG_LATEST_NAME) == 0;
    if (!hint && !aq_catalog_parse_name(name, &number, &checkpoint))
        return AQ_OK;
    struct aq_bytes bytes = {0};
    snprintf(path, sizeof(path), "%s/%s", home, name);
    enum aq_status status = aq_object_get(objects, name, EDIT_BYTES_MAX, &bytes, err);
    verify->bytes += bytes.size;
    if (status >= 0 && hint) {
        check_hint(verify, path, aq_bytes_view(&bytes));
    } else if (status >= 0) {
        status = check_edit(verify, path, aq_bytes_view(&bytes), number, checkpoint, chain, err);
        verify->edit_count++;
    } else if (!aq_verify_ends(status) && status != AQ_NOT_FOUND) { /* gc may have taken it */
        aq_verify_fault(verify, err, "the catalog from edit %" PRIu64 " on", number);
    }
    aq_bytes_deinit(&bytes);
    return aq_verify_ends(status) ? status : AQ_OK;
}

enum aq_status aq_verify_catalog(struct aq_verify *verify, const char *home, struct aq_error *err)
{
    struct aq_object_store *objects = NULL;
    struct names names = {0};
    struct chain chain = {0};
    AQ_TRY(aq_object_open_dir(home, false, &objects, err));
    enum aq_status status = aq_object_list(objects, CATALOG_PREFIX, keep_name, &names, err);
    for (size_t i = 0; i < names.count && status >= 0; i++) {
        if (aq_verify_stopped(verify))
            status = aq_error_set(err, AQ_INTERRUPTED, "stopped");
        else
            status = check_object(verify, objects, home, names.list[i], &chain, err);
    }
    free(names.list);
    aq_arena_deinit(&names.arena);
    aq_object_close(objects);
    return status;
}
