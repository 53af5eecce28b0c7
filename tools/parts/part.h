/* Parts of the program that few commands need, each a shared object aqstore-NAME.so: the libraries they use take
 * longer to load than a short query takes (docs/decisions/parts.md). A part has one symbol, `aq_part`: a
 * table of its functions. The program has functions of the same names, which open the part when the
 * first of them is called, so that callers know nothing of it. */
#ifndef AQ_TOOLS_PARTS_PART_H
#define AQ_TOOLS_PARTS_PART_H

#include <pthread.h>

#include "format/base/status.h"

/** What every part's table begins with: AQ_INTERFACE, a hash of all headers, before anything else is believed. */
struct aq_part_table {
    uint64_t interface;
};

struct aq_part {
    const char *name;
    const char *task; /* "talks to brokers", for messages */
    pthread_mutex_t lock;
    const struct aq_part_table *table; /* NULL: not open yet */
};

/**
 * Open a part that is not open, and give its table; it stays open. Looked for beside the program and in
 * ../lib/aqstore. AQ_UNSUPPORTED where it is missing, cannot be loaded or belongs to another build.
 * @thread Any.
 */
enum aq_status aq_part_open(struct aq_part *part, const void **table,
                            struct aq_error *err) AQ_RESULT;
/** The table of a part that something at hand has come from. @thread Any. */
const void *aq_part_opened(struct aq_part *part);

#endif
