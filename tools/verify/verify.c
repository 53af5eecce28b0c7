/* Keeping faults. */
#include "tools/verify/verify.h"

#include <stdio.h>
#include <stdlib.h>

#include "engine/base/civil/civil_time.h"

void aq_verify_deinit(struct aq_verify *verify)
{
    for (struct aq_fault *fault = verify->faults, *next; fault != NULL; fault = next) {
        next = fault->next;
        free(fault);
    }
    verify->faults = verify->last = NULL;
}

static struct aq_fault *add_fault(struct aq_verify *verify, const struct aq_error *err)
{
    verify->fault_count++;
    if (verify->fault_count > AQ_FAULTS_KEPT_MAX)
        return NULL;
    struct aq_fault *fault = calloc(1, sizeof(*fault));
    if (fault == NULL)
        return NULL; /* it is counted, so that the exit code is right */
    fault->error = *err;
    if (verify->last != NULL)
        verify->last->next = fault;
    else
        verify->faults = fault;
    verify->last = fault;
    return fault;
}

void aq_verify_fault(struct aq_verify *verify, const struct aq_error *err, const char *affected,
                     ...)
{
    struct aq_fault *fault = add_fault(verify, err);
    if (fault == NULL)
        return;
    va_list arguments;
    va_start(arguments, affected);
    vsnprintf(fault->affected, sizeof(fault->affected), affected, arguments);
    va_end(arguments);
}

void aq_verify_fault_at(struct aq_verify *verify, const char *path, uint64_t offset,
                        const char *format, ...)
{
    char message[AQ_ERROR_MESSAGE_MAX];
    struct aq_error err = {0};
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(message, sizeof(message), format, arguments);
    va_end(arguments);
    aq_error_set_at(&err, AQ_CORRUPT, path, (int64_t)offset, "%s", message);
    add_fault(verify, &err);
}

bool aq_verify_stopped(const struct aq_verify *verify)
{
    return verify->stop != NULL && *verify->stop;
}

void aq_verify_progress(struct aq_verify *verify, const char *path)
{
    if (verify->progress != NULL)
        verify->progress(verify->context, path, verify->bytes, verify->row_count);
}

const char *aq_span_text(bool known, int64_t from_us, int64_t to_us, char out[AQ_SPAN_TEXT_BYTES])
{
    char from[64], to[64];
    if (!known)
        return "all times";
    from[aq_time_format(from_us, aq_zone_utc(), from, sizeof(from))] = '\0';
    to[aq_time_format(to_us, aq_zone_utc(), to, sizeof(to))] = '\0';
    snprintf(out, AQ_SPAN_TEXT_BYTES, "%s .. %s", from, to);
    return out;
}
