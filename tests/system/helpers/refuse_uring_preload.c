/* LD_PRELOAD: io_uring cannot be set up, as in a container that denies it. liburing's entries and the
 * bare system call through syscall(2) all fail with EPERM. */
#include <dlfcn.h>
#include <errno.h>
#include <stdarg.h>
#include <sys/syscall.h>

struct io_uring;
struct io_uring_params;

int io_uring_queue_init_params(unsigned entries, struct io_uring *ring,
                               struct io_uring_params *params)
{
    (void)entries, (void)ring, (void)params;
    return -EPERM;
}

int io_uring_queue_init(unsigned entries, struct io_uring *ring, unsigned flags)
{
    (void)flags;
    return io_uring_queue_init_params(entries, ring, 0);
}

int io_uring_queue_init_mem(unsigned entries, struct io_uring *ring, struct io_uring_params *params,
                            void *buf, unsigned long size)
{
    (void)buf, (void)size;
    return io_uring_queue_init_params(entries, ring, params);
}

long syscall(long number, ...)
{
    static long (*real)(long, ...);
    if (number == SYS_io_uring_setup) {
        errno = EPERM;
        return -1;
    }
    if (real == 0)
        *(void **)&real = dlsym(RTLD_NEXT, "syscall");
    va_list list;
    va_start(list, number);
    long a[6];
    for (int i = 0; i < 6; i++)
        a[i] = va_arg(list, long);
    va_end(list);
    return real(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}
