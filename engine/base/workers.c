/* Fork and join: each run starts threads that take the next index until none is left. Tasks last
 * milliseconds, starting a thread microseconds, so nothing is kept alive in between. A thread that
 * cannot be started is done without: the caller's own thread takes part and finishes the rest. */
#include "engine/base/workers.h"

#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>

#define THREADS_MAX 64

struct run {
    size_t count;
    atomic_size_t next;
    void (*task)(void *task_context, size_t index);
    void *task_context;
};

static void *take_tasks(void *argument)
{
    struct run *run = argument;
    for (;;) {
        size_t index = atomic_fetch_add(&run->next, 1);
        if (index >= run->count)
            return NULL;
        run->task(run->task_context, index);
    }
}

static void run_tasks(void *context, size_t count, void (*task)(void *, size_t), void *task_context)
{
    const struct aq_workers *workers = context;
    struct run run = {.count = count, .task = task, .task_context = task_context};
    pthread_t threads[THREADS_MAX];
    size_t started = 0;
    while (started + 1 < workers->thread_count && started + 1 < count &&
           pthread_create(&threads[started], NULL, take_tasks, &run) == 0)
        started++;
    take_tasks(&run);
    for (size_t i = 0; i < started; i++)
        pthread_join(threads[i], NULL);
}

void aq_workers_init(struct aq_workers *workers, unsigned thread_count)
{
    long online = sysconf(_SC_NPROCESSORS_ONLN);
    if (thread_count == 0)
        thread_count = online < 1 ? 1 : (unsigned)online;
    workers->thread_count = thread_count < THREADS_MAX ? thread_count : THREADS_MAX;
    workers->executor = (struct aq_executor){.run = run_tasks, .context = workers};
}
