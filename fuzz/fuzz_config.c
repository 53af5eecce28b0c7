/* Any text is a config or a named fault; what is accepted prints as a config with the same text. */
#include <stdlib.h>
#include <string.h>

#include "engine/ingest/config.h"

static void show(const struct aq_config *config, struct aq_bytes *out)
{
    if (aq_config_show(config, out) != AQ_OK)
        abort();
}

/* A mask is a text like any other, so what is shown can be read again; not so where it names files, which
 * may hold something else by now. */
static void check_round_trip(const struct aq_config *config)
{
    struct aq_bytes first = {0};
    struct aq_bytes second = {0};
    struct aq_config *again = NULL;
    show(config, &first);
    if (aq_config_parse("f.yaml", aq_bytes_view(&first), &again, NULL) == AQ_OK) {
        show(again, &second);
        if (!aq_slice_equal(aq_bytes_view(&first), aq_bytes_view(&second)))
            abort();
        aq_config_destroy(again);
    } else if (first.size < 1 << 20 && memmem(first.data, first.size, "_file", 5) == NULL) {
        abort();
    }
    aq_bytes_deinit(&first);
    aq_bytes_deinit(&second);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct aq_config *config = NULL;
    struct aq_error err = {0};
    enum aq_status status = aq_config_parse("f.yaml", aq_slice_make(data, size), &config, &err);
    if (status == AQ_OK) {
        check_round_trip(config);
        aq_config_destroy(config);
    } else if (status == AQ_INVALID && (err.path[0] == '\0' || err.message[0] == '\0')) {
        abort();
    }
    return 0;
}
