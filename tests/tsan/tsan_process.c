/* What every binary of the build for ThreadSanitizer (make MODE=tsan) has beside its own.
 *
 * The libraries of the system are not built with -fsanitize=thread. Those that lock by pthread_... are understood all the
 * same, since the sanitizer stands in for these functions. librdkafka locks by C11's <threads.h>, for which it does not:
 * unless these are led to their twins, each message that one thread of librdkafka hands to another looks like a race, and
 * a thread that it starts is unknown. In the GNU C library both families share their types.
 *
 * There are no suppressions: what is reported lies in this project, or in how it calls a library. */
#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <threads.h>

_Static_assert(sizeof(mtx_t) == sizeof(pthread_mutex_t), "one type under two names");
_Static_assert(sizeof(cnd_t) == sizeof(pthread_cond_t), "one type under two names");

const char *__tsan_default_options(void);

/* ignore_noninstrumented_modules: memory that such a library touches by memcpy() and the like, under atomics of its own
 * that cannot be seen. Its locks count. exitcode is the default, said here since tests rely on it. */
const char *__tsan_default_options(void)
{
    return "ignore_noninstrumented_modules=1:exitcode=66:second_deadlock_stack=1:atexit_sleep_ms="
           "20";
}

static int result(int error)
{
    return error == 0 ? thrd_success : thrd_error;
}

int mtx_init(mtx_t *mutex, int type)
{
    pthread_mutexattr_t attributes;
    pthread_mutexattr_init(&attributes);
    if (type & mtx_recursive)
        pthread_mutexattr_settype(&attributes, PTHREAD_MUTEX_RECURSIVE);
    int error = pthread_mutex_init((pthread_mutex_t *)mutex, &attributes);
    pthread_mutexattr_destroy(&attributes);
    return result(error);
}

void mtx_destroy(mtx_t *mutex)
{
    pthread_mutex_destroy((pthread_mutex_t *)mutex);
}

int mtx_lock(mtx_t *mutex)
{
    return result(pthread_mutex_lock((pthread_mutex_t *)mutex));
}

int mtx_unlock(mtx_t *mutex)
{
    return result(pthread_mutex_unlock((pthread_mutex_t *)mutex));
}

int cnd_init(cnd_t *condition)
{
    return result(pthread_cond_init((pthread_cond_t *)condition, NULL));
}

void cnd_destroy(cnd_t *condition)
{
    pthread_cond_destroy((pthread_cond_t *)condition);
}

int cnd_signal(cnd_t *condition)
{
    return result(pthread_cond_signal((pthread_cond_t *)condition));
}

int cnd_broadcast(cnd_t *condition)
{
    return result(pthread_cond_broadcast((pthread_cond_t *)condition));
}

int cnd_wait(cnd_t *condition, mtx_t *mutex)
{
    return result(pthread_cond_wait((pthread_cond_t *)condition, (pthread_mutex_t *)mutex));
}

int cnd_timedwait(cnd_t *restrict condition, mtx_t *restrict mutex,
                  const struct timespec *restrict until)
{
    int error =
        pthread_cond_timedwait((pthread_cond_t *)condition, (pthread_mutex_t *)mutex, until);
    return error == ETIMEDOUT ? thrd_timedout : result(error);
}

struct start {
    thrd_start_t function;
    void *argument;
};

static void *run(void *of)
{
    struct start start = *(struct start *)of;
    free(of);
    return (void *)(intptr_t)start.function(start.argument);
}

int thrd_create(thrd_t *thread, thrd_start_t function, void *argument)
{
    struct start *start = malloc(sizeof *start);
    if (start == NULL)
        return thrd_nomem;
    *start = (struct start){function, argument};
    if (pthread_create(thread, NULL, run, start) == 0)
        return thrd_success;
    free(start);
    return thrd_error;
}

int thrd_join(thrd_t thread, int *returned)
{
    void *value = NULL;
    int error = pthread_join(thread, &value);
    if (returned != NULL)
        *returned = (int)(intptr_t)value;
    return result(error);
}
