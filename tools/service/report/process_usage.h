/* What this process uses, as the kernel counts it. */
#ifndef AQ_TOOLS_SERVICE_PROCESS_USAGE_H
#define AQ_TOOLS_SERVICE_PROCESS_USAGE_H

#include <stdint.h>

struct aq_process_usage {
    double cpu_seconds;
    double start_seconds; /* wall clock; 0: unknown */
    uint64_t resident_bytes;
    uint64_t virtual_bytes;
    uint64_t open_fds;
    uint64_t max_fds;
};
/** What cannot be found out is 0. @thread Any. */
void aq_process_usage(struct aq_process_usage *usage);

#endif
