/* Fork and join with threads that wait in between.
 *
 * Happy path: a run wakes the threads; they and the caller take the next index until none is left; the caller waits for
 * those that are being worked at.
 * Failures: threads that cannot be started are done without. Signals are left to the others. */
#include "engine/base/helpers.h"

#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>

struct aq_helpers {
    struct aq_executor executor;
    pthread_mutex_t lock; /* of all below */
    pthread_cond_t begun;
    pthread_cond_t done;
    void (*task)(void *task_context, size_t index);
    void *task_context;
    size_t next;
    size_t count;
    size_t busy_count;
    bool ended;
    size_t thread_count;
    pthread_t threads[];
};

/* The lock is held, but for the tasks themselves. */
static void take_tasks(struct aq_helpers *helpers)
{
    while (helpers->next < helpers->count) {
        size_t index = helpers->next++;
        helpers->busy_count++;
        pthread_mutex_unlock(&helpers->lock);
        helpers->task(helpers->task_context, index);
        pthread_mutex_lock(&helpers->lock);
        helpers->busy_count--;
    }
    if (helpers->busy_count == 0)
        pthread_cond_signal(&helpers->done);
}

static void *help(void *argument)
{
    struct aq_helpers *helpers = argument;
    pthread_mutex_lock(&helpers->lock);
    while (!helpers->ended) {
        if (helpers->next < helpers->count)
            take_tasks(helpers);
        else
            pthread_cond_wait(&helpers->begun, &helpers->lock);
    }
    pthread_mutex_unlock(&helpers->lock);
    return NULL;
}

static void run(void *context, size_t count, void (*task)(void *, size_t), void *task_context)
{
    struct aq_helpers *helpers = context;
    pthread_mutex_lock(&helpers->lock);
    helpers->task = task;
    helpers->task_context = task_context;
    helpers->next = 0;
    helpers->count = count;
    pthread_cond_broadcast(&helpers->begun);
    take_tasks(helpers);
    while (helpers->busy_count > 0)
        pthread_cond_wait(&helpers->done, &helpers->lock);
    pthread_mutex_unlock(&helpers->lock);
}

struct aq_helpers *aq_helpers_create(unsigned thread_count)
{
    struct aq_helpers *helpers = calloc(1, sizeof *helpers + thread_count * sizeof(pthread_t));
    sigset_t all;
    sigset_t before;
    if (helpers == NULL)
        return NULL;
    helpers->executor = (struct aq_executor){.run = run, .context = helpers};
    pthread_mutex_init(&helpers->lock, NULL);
    pthread_cond_init(&helpers->begun, NULL);
    pthread_cond_init(&helpers->done, NULL);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    while (helpers->thread_count + 1 < thread_count &&
           pthread_create(&helpers->threads[helpers->thread_count], NULL, help, helpers) == 0)
        helpers->thread_count++;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return helpers;
}

void aq_helpers_destroy(struct aq_helpers *helpers)
{
    if (helpers == NULL)
        return;
    pthread_mutex_lock(&helpers->lock);
    helpers->ended = true;
    pthread_cond_broadcast(&helpers->begun);
    pthread_mutex_unlock(&helpers->lock);
    for (size_t i = 0; i < helpers->thread_count; i++)
        pthread_join(helpers->threads[i], NULL);
    pthread_cond_destroy(&helpers->begun);
    pthread_cond_destroy(&helpers->done);
    pthread_mutex_destroy(&helpers->lock);
    free(helpers);
}

const struct aq_executor *aq_helpers_executor(const struct aq_helpers *helpers)
{
    return &helpers->executor;
}
