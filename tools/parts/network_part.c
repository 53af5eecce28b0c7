/* Linked into aqstore-network.so: its table. */
#include "tools/parts/network.h"

extern const struct aq_network aq_part;

const struct aq_network aq_part = {.head.interface = AQ_INTERFACE,
#define ENTRY(name) .name = (name),
                                   AQ_NETWORK_FUNCTIONS(ENTRY)
#undef ENTRY
};
