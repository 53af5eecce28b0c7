/* /readyz: how each source is, as a JSON object. */
#ifndef AQ_TOOLS_SERVICE_READINESS_H
#define AQ_TOOLS_SERVICE_READINESS_H

#include "engine/ingest/monitor.h"

/**
 * Append the object. Ready means: every source runs or is done, and nothing drains.
 * @param now_us  Wall clock.
 */
bool aq_readiness_render(const struct aq_monitor_view *view, bool draining, int64_t now_us,
                         struct aq_bytes *out);

#endif
