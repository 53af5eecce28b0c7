/* Linux keeps both priorities by thread, and a new thread has those of the one that started it. */
#include "compaction/nightly/background.h"

#include <linux/ioprio.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#define NICE 10
#define IO_LEVEL 7

void aq_background_enter(void)
{
    (void)syscall(SYS_ioprio_set, IOPRIO_WHO_PROCESS, 0,
                  IOPRIO_PRIO_VALUE(IOPRIO_CLASS_BE, IO_LEVEL));
    (void)setpriority(PRIO_PROCESS, 0, NICE); /* last: who sees it knows that both are set */
}
