/* Linked into aqstore-files.so: its table. */
#include "tools/parts/files.h"

extern const struct aq_files aq_part;

const struct aq_files aq_part = {.head.interface = AQ_INTERFACE,
#define ENTRY(name) .name = (name),
                                 AQ_FILES_FUNCTIONS(ENTRY)
#undef ENTRY
};
