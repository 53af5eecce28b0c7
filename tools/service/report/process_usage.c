/* Reads /proc/self. Failures leave zeros: a process in a sandbox may not see itself. */
#include "tools/service/report/process_usage.h"
#include "engine/base/clock.h"

#include <dirent.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

static double timeval_seconds(struct timeval value)
{
    return (double)value.tv_sec + 1e-6 * (double)value.tv_usec;
}

/* Up to `size` - 1 bytes of a file. */
static bool read_text(const char *path, char *out, size_t size)
{
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return false;
    size_t count = fread(out, 1, size - 1, file);
    out[count] = '\0';
    fclose(file);
    return count > 0;
}

/* Field `number` (from 1) of /proc/self/stat. The second one, the program's name, may hold anything
 * but ends at the last parenthesis. */
static double stat_field(const char *text, unsigned number)
{
    const char *at = strrchr(text, ')');
    for (unsigned field = 2; at != NULL && field < number; field++)
        at = strchr(at + 1, ' ');
    return at != NULL ? strtod(at + 1, NULL) : 0;
}

static double wall_minus_uptime(void)
{
    return (double)(aq_clock_wall_us() - aq_clock_boot_us()) / 1e6;
}

static uint64_t count_fds(void)
{
    DIR *directory = opendir("/proc/self/fd");
    uint64_t count = 0;
    if (directory == NULL)
        return 0;
    for (struct dirent *entry = readdir(directory); entry != NULL; entry = readdir(directory))
        count += entry->d_name[0] != '.';
    closedir(directory);
    return count - 1; /* but the directory itself */
}

void aq_process_usage(struct aq_process_usage *usage)
{
    char text[1024];
    struct rusage used;
    struct rlimit limit;
    *usage = (struct aq_process_usage){.open_fds = count_fds()};
    if (getrusage(RUSAGE_SELF, &used) == 0)
        usage->cpu_seconds = timeval_seconds(used.ru_utime) + timeval_seconds(used.ru_stime);
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0)
        usage->max_fds = limit.rlim_cur;
    if (read_text("/proc/self/stat", text, sizeof(text))) {
        double ticks = (double)sysconf(_SC_CLK_TCK);
        usage->start_seconds = wall_minus_uptime() + stat_field(text, 22) / ticks;
        usage->virtual_bytes = (uint64_t)stat_field(text, 23);
        usage->resident_bytes = (uint64_t)stat_field(text, 24) * (uint64_t)sysconf(_SC_PAGESIZE);
    }
}
