/* Telling the service manager how we are: the protocol of sd_notify(3). */
#ifndef AQ_TOOLS_SERVICE_NOTIFY_H
#define AQ_TOOLS_SERVICE_NOTIFY_H

#include "format/base/bytes.h"

/** Send assignments parted by newlines ("READY=1\nSTATUS=..."). Nothing happens where nobody listens. */
void aq_notify(const char *assignments);

/** How often the manager wants to hear WATCHDOG=1 at the latest, in ms; 0: it does not watch us. */
int64_t aq_notify_watchdog_ms(void);

#endif
