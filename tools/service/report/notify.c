/* One datagram to the socket that $NOTIFY_SOCKET names. Own code: libsystemd would be a dependency of the
 * whole program, with its own, for these few lines.
 *
 * Happy path: make a socket, send, close; a name that begins with '@' is abstract.
 * Failures are nobody's business: a manager that misses READY=1 or WATCHDOG=1 acts by itself. */
#include "tools/service/report/notify.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

void aq_notify(const char *assignments)
{
    const char *name = getenv("NOTIFY_SOCKET");
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t size = name != NULL ? strlen(name) : 0;
    if (size < 2 || size >= sizeof(address.sun_path) || (name[0] != '/' && name[0] != '@'))
        return;
    memcpy(address.sun_path, name, size);
    if (name[0] == '@')
        address.sun_path[0] = '\0';
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return;
    (void)sendto(fd, assignments, strlen(assignments), MSG_NOSIGNAL | MSG_DONTWAIT,
                 (const struct sockaddr *)&address,
                 (socklen_t)(offsetof(struct sockaddr_un, sun_path) + size));
    close(fd);
}

int64_t aq_notify_watchdog_ms(void)
{
    const char *span = getenv("WATCHDOG_USEC");
    const char *pid = getenv("WATCHDOG_PID");
    if (span == NULL || (pid != NULL && strtoll(pid, NULL, 10) != (long long)getpid()))
        return 0;
    long long span_us = strtoll(span, NULL, 10);
    return span_us > 0 ? (span_us + 999) / 1000 : 0;
}
