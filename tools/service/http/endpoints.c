/* What the paths of the HTTP server answer.
 *
 * Happy path: a copy of the monitor is rendered. Failures: out of memory is a 503, as is a main loop that has
 * not turned for a while (/healthz), and a source that needs somebody (/readyz). */
#include <string.h>

#include "tools/service/http/readiness.h"
#include "tools/service/service_internal.h"

#define HEALTHY_MS 5000 /* the main loop turns once a second */
#define OK 200
#define UNAVAILABLE 503

static void respond_health(const struct aq_service *service, struct aq_http_response *response)
{
    bool healthy = aq_clock_ms() - atomic_load(&service->turned_ms) < HEALTHY_MS;
    response->code = healthy ? OK : UNAVAILABLE;
    aq_bytes_chars(&response->body, healthy ? "ok\n" : "the main loop is stuck\n");
}

static void respond_readiness(const struct aq_service *service, const struct aq_monitor_view *view,
                              struct aq_http_response *response)
{
    bool ready = aq_readiness_render(view, atomic_load(&service->draining), aq_clock_wall_us(),
                                     &response->body);
    response->code = ready ? OK : UNAVAILABLE;
    response->content_type = "application/json";
}

static void respond_metrics(struct aq_service *service, const struct aq_monitor_view *view,
                            struct aq_http_response *response)
{
    struct aq_process_usage usage;
    struct aq_maintain_counts maintain;
    struct aq_nightly_counts nightly;
    struct aq_gc_counts gc;
    struct aq_metrics metrics = {
        .version = AQ_VERSION, .view = view, .usage = &usage, .now_us = aq_clock_wall_us()};
    if (service->store != NULL) {
        metrics.io = aq_io_kind_name(aq_store_io_kind(service->store));
        metrics.write_method = aq_write_method_name(aq_store_write_method(service->store));
        metrics.zero_failure_count = aq_store_zero_failure_count(service->store);
    }
    aq_process_usage(&usage);
    pthread_mutex_lock(&service->lock);
    maintain = service->maintain;
    nightly = service->nightly;
    gc = service->gc;
    pthread_mutex_unlock(&service->lock);
    if (service->maintains)
        metrics.maintain = &maintain;
    if (service->compacts)
        metrics.nightly = &nightly;
    if (service->maintains || service->compacts)
        metrics.gc = &gc;
    aq_metrics_render(&metrics, &response->body);
    response->code = OK;
    response->content_type = "text/plain; version=0.0.4; charset=utf-8";
}

void aq_endpoints_respond(void *context, const char *path, struct aq_http_response *response)
{
    struct aq_service *service = context;
    struct aq_monitor_view view;
    bool readiness = strcmp(path, "/readyz") == 0;
    if (strcmp(path, "/healthz") == 0) {
        respond_health(service, response);
        return;
    }
    if (!readiness && strcmp(path, "/metrics") != 0)
        return;
    if (aq_monitor_copy(service->monitor, &view) < 0) {
        response->code = UNAVAILABLE;
        return;
    }
    if (readiness)
        respond_readiness(service, &view, response);
    else
        respond_metrics(service, &view, response);
    aq_monitor_view_deinit(&view);
}
