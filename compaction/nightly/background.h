/* Standing back behind others. */
#ifndef AQ_COMPACTION_NIGHTLY_BACKGROUND_H
#define AQ_COMPACTION_NIGHTLY_BACKGROUND_H

/** The calling thread, and those it starts from now on, get the CPU and the disk after others: nice 10, and
 * the last of the best-effort I/O levels (not idle: on a disk that is never idle work would not end). Where
 * that is not allowed nothing changes. */
void aq_background_enter(void);

#endif
