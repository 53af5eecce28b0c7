/* Fork and join: each run has helpers of its own. Tasks last milliseconds, starting a thread microseconds, so nothing is
 * kept alive in between. What cannot be had is done without: the caller's own thread does every task then. */
#include "engine/base/workers.h"

#include <unistd.h>

#include "engine/base/helpers.h"

#define THREADS_MAX 64

static void run_tasks(void *context, size_t count, void (*task)(void *, size_t), void *task_context)
{
    const struct aq_workers *workers = context;
    unsigned thread_count = count < workers->thread_count ? (unsigned)count : workers->thread_count;
    struct aq_helpers *helpers = thread_count > 1 ? aq_helpers_create(thread_count) : NULL;
    if (helpers != NULL) {
        const struct aq_executor *executor = aq_helpers_executor(helpers);
        executor->run(executor->context, count, task, task_context);
    }
    for (size_t i = 0; helpers == NULL && i < count; i++)
        task(task_context, i);
    aq_helpers_destroy(helpers);
}

void aq_workers_init(struct aq_workers *workers, unsigned thread_count)
{
    long online = sysconf(_SC_NPROCESSORS_ONLN);
    if (thread_count == 0)
        thread_count = online < 1 ? 1 : (unsigned)online;
    workers->thread_count = thread_count < THREADS_MAX ? thread_count : THREADS_MAX;
    workers->executor = (struct aq_executor){.run = run_tasks, .context = workers};
}
