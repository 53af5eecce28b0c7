/* Numbers as people read them. */
#include "tools/output/text/human.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

const char *aq_human_count(uint64_t count, char out[AQ_HUMAN_BYTES_MAX])
{
    char digits[24];
    size_t size = (size_t)snprintf(digits, sizeof(digits), "%" PRIu64, count);
    size_t at = 0;
    for (size_t i = 0; i < size; i++) {
        if (i > 0 && (size - i) % 3 == 0)
            out[at++] = ',';
        out[at++] = digits[i];
    }
    out[at] = '\0';
    return out;
}

const char *aq_human_size(uint64_t size_bytes, char out[AQ_HUMAN_BYTES_MAX])
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    double value = (double)size_bytes;
    size_t unit = 0;
    for (; value >= 1024 && unit + 1 < sizeof(units) / sizeof(units[0]); unit++)
        value /= 1024;
    snprintf(out, AQ_HUMAN_BYTES_MAX, "%.*f %s", unit > 0 && value < 100 ? 1 : 0, value,
             units[unit]);
    return out;
}

const char *aq_human_rate(double per_second, char out[AQ_HUMAN_BYTES_MAX])
{
    if (per_second >= 1e6)
        snprintf(out, AQ_HUMAN_BYTES_MAX, "%.2f M", per_second / 1e6);
    else if (per_second >= 1e4)
        snprintf(out, AQ_HUMAN_BYTES_MAX, "%.0f k", per_second / 1e3);
    else
        snprintf(out, AQ_HUMAN_BYTES_MAX, "%.0f", per_second);
    return out;
}

const char *aq_human_seconds(double seconds, char out[AQ_HUMAN_BYTES_MAX])
{
    if (seconds < 10)
        snprintf(out, AQ_HUMAN_BYTES_MAX, "%.2f s", seconds);
    else if (seconds < 100)
        snprintf(out, AQ_HUMAN_BYTES_MAX, "%.0f s", seconds);
    else if (seconds < 6000)
        snprintf(out, AQ_HUMAN_BYTES_MAX, "%ld min %ld s", (long)seconds / 60, (long)seconds % 60);
    else
        snprintf(out, AQ_HUMAN_BYTES_MAX, "%ld h %ld min", (long)seconds / 3600,
                 (long)seconds / 60 % 60);
    return out;
}
