/* `aqstore ingest`: sources that run side by side until they end or a signal comes. */
#ifndef AQ_TOOLS_SERVICE_SERVICE_H
#define AQ_TOOLS_SERVICE_SERVICE_H

#include "tools/program.h"

#define AQ_DRAIN_MS 10000

/**
 * Run the named sources of program->config (indices). Each set of Kafka sources that share a consumer has
 * a thread, all file sources together have one; what fails or waits in one holds up no other. The calling
 * thread watches: signals, HTTP, the service manager, the status line.
 * @return AQ_OK when all ended well, or after a drain; else what failed first, AQ_TEMPORARY only when
 * nothing worse did. Does not return when the drain takes longer than AQ_DRAIN_MS: exit code 1.
 * @thread The main thread, once.
 */
enum aq_status aq_service_run(struct aq_program *program, const size_t *sources,
                              size_t source_count, struct aq_error *err) AQ_RESULT;

#endif
