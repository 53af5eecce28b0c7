/* What running sources tell whoever watches them.
 *
 * Happy path: sources add to counters and set gauges under one lock, which is held for a few additions;
 * watchers copy everything under it.
 * Failures: a copy may run out of memory. A partition that cannot be remembered is left out: its lag is
 * not shown, nothing else suffers. A source nobody knows (SIZE_MAX) is ignored. */
#include "engine/ingest/monitor.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const int64_t aq_monitor_bucket_us[AQ_MONITOR_BUCKETS - 1] = {
    1000,   2500,    5000,    10000,   25000,    50000,    100000,
    250000, 1000000, 2500000, 5000000, 10000000, 30000000,
};

const char *aq_reject_class_name(enum aq_reject_class reject_class)
{
    static const char *const names[] = {
#define CLASS_NAME(name, text) [name] = (text),
        AQ_REJECT_CLASS_TABLE(CLASS_NAME)
#undef CLASS_NAME
    };
    return names[reject_class];
}

const char *aq_source_state_name(enum aq_source_state state)
{
    static const char *const names[] = {
        [AQ_SOURCE_STARTING] = "starting", [AQ_SOURCE_RUNNING] = "running",
        [AQ_SOURCE_WAITING] = "waiting",   [AQ_SOURCE_STOPPED] = "stopped",
        [AQ_SOURCE_DONE] = "done",
    };
    return names[state];
}

uint64_t aq_monitor_lag(const struct aq_monitor_partition *partition)
{
    return partition->end_ordinal > partition->next_ordinal
               ? partition->end_ordinal - partition->next_ordinal
               : 0;
}

struct aq_monitor {
    pthread_mutex_t lock;
    size_t source_count;
    struct aq_monitor_source *sources;
    struct aq_monitor_totals *writers; /* the gauges of the writer that each source names */
    size_t partition_count;
    size_t partition_capacity;
    struct aq_monitor_partition *partitions; /* by source, topic, partition; topics are malloc'ed */
    struct aq_monitor_totals totals;         /* without gauges */
};

enum aq_status aq_monitor_create(const struct aq_config *config, const size_t *sources,
                                 size_t source_count, struct aq_monitor **monitor,
                                 struct aq_error *err)
{
    struct aq_monitor *created = calloc(1, sizeof *created);
    struct aq_monitor_source *states = calloc(source_count + 1, sizeof *states);
    struct aq_monitor_totals *writers = calloc(source_count + 1, sizeof *writers);
    if (created == NULL || states == NULL || writers == NULL) {
        free(created);
        free(states);
        free(writers);
        return aq_error_set(err, AQ_NO_MEMORY, "out of memory");
    }
    created->sources = states;
    created->writers = writers;
    created->source_count = source_count;
    pthread_mutex_init(&created->lock, NULL);
    for (size_t i = 0; i < source_count; i++) {
        const struct aq_source_config *source = &config->sources[sources[i]];
        states[i].name = source->name;
        states[i].dataset = source->dataset;
        states[i].is_kafka = source->is_kafka;
    }
    *monitor = created;
    return AQ_OK;
}

void aq_monitor_destroy(struct aq_monitor *monitor)
{
    if (monitor == NULL)
        return;
    for (size_t i = 0; i < monitor->partition_count; i++)
        free((char *)monitor->partitions[i].topic);
    pthread_mutex_destroy(&monitor->lock);
    free(monitor->partitions);
    free(monitor->writers);
    free(monitor->sources);
    free(monitor);
}

size_t aq_monitor_find(const struct aq_monitor *monitor, const char *source_name)
{
    for (size_t i = 0; monitor != NULL && i < monitor->source_count; i++) {
        if (strcmp(monitor->sources[i].name, source_name) == 0)
            return i;
    }
    return SIZE_MAX;
}

static bool knows(const struct aq_monitor *monitor, size_t source)
{
    return monitor != NULL && source < monitor->source_count;
}

void aq_monitor_state(struct aq_monitor *monitor, size_t source, enum aq_source_state state,
                      const char *message)
{
    if (!knows(monitor, source))
        return;
    pthread_mutex_lock(&monitor->lock);
    struct aq_monitor_source *known = &monitor->sources[source];
    known->state = state;
    known->message[0] = '\0';
    if (message != NULL)
        snprintf(known->message, sizeof known->message, "%s", message);
    pthread_mutex_unlock(&monitor->lock);
}

void aq_monitor_add(struct aq_monitor *monitor, size_t source, const struct aq_monitor_source *add)
{
    if (!knows(monitor, source))
        return;
    pthread_mutex_lock(&monitor->lock);
    struct aq_monitor_source *known = &monitor->sources[source];
    known->row_count += add->row_count;
    for (size_t i = 0; i < AQ_REJECT_CLASS_COUNT; i++)
        known->reject_counts[i] += add->reject_counts[i];
    known->passed_count += add->passed_count;
    known->lost_count += add->lost_count;
    known->input_bytes += add->input_bytes;
    if (add->last_message_us > known->last_message_us)
        known->last_message_us = add->last_message_us;
    pthread_mutex_unlock(&monitor->lock);
}

/* Partitions. */

static int compare(const struct aq_monitor_partition *a, size_t source, const char *topic,
                   int32_t partition)
{
    if (a->source != source)
        return a->source < source ? -1 : 1;
    int order = strcmp(a->topic, topic);
    if (order != 0)
        return order;
    return (a->partition > partition) - (a->partition < partition);
}

/* The first that is not before it; `found`: it is the one. */
static size_t find_partition(const struct aq_monitor *monitor, size_t source, const char *topic,
                             int32_t partition, bool *found)
{
    size_t low = 0;
    size_t high = monitor->partition_count;
    *found = false;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = compare(&monitor->partitions[middle], source, topic, partition);
        if (order == 0)
            *found = true;
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static bool make_room(struct aq_monitor *monitor)
{
    if (monitor->partition_count < monitor->partition_capacity)
        return true;
    size_t capacity = 2 * monitor->partition_capacity + 16;
    struct aq_monitor_partition *grown =
        realloc(monitor->partitions, capacity * sizeof *monitor->partitions);
    if (grown == NULL)
        return false;
    monitor->partitions = grown;
    monitor->partition_capacity = capacity;
    return true;
}

static void insert_partition(struct aq_monitor *monitor, size_t at,
                             const struct aq_monitor_partition *partition)
{
    char *topic = strdup(partition->topic);
    if (topic == NULL || !make_room(monitor)) {
        free(topic);
        return;
    }
    struct aq_monitor_partition *place = &monitor->partitions[at];
    memmove(place + 1, place, (monitor->partition_count - at) * sizeof *place);
    *place = *partition;
    place->topic = topic;
    monitor->partition_count++;
}

void aq_monitor_set_partition(struct aq_monitor *monitor,
                              const struct aq_monitor_partition *partition)
{
    if (!knows(monitor, partition->source))
        return;
    bool found;
    pthread_mutex_lock(&monitor->lock);
    size_t at =
        find_partition(monitor, partition->source, partition->topic, partition->partition, &found);
    if (!found) {
        insert_partition(monitor, at, partition);
    } else {
        monitor->partitions[at].next_ordinal = partition->next_ordinal;
        monitor->partitions[at].end_ordinal = partition->end_ordinal;
    }
    pthread_mutex_unlock(&monitor->lock);
}

void aq_monitor_drop_partition(struct aq_monitor *monitor, size_t source, const char *topic,
                               int32_t partition)
{
    if (!knows(monitor, source))
        return;
    bool found;
    pthread_mutex_lock(&monitor->lock);
    size_t at = find_partition(monitor, source, topic, partition, &found);
    if (found) {
        struct aq_monitor_partition *place = &monitor->partitions[at];
        free((char *)place->topic);
        monitor->partition_count--;
        memmove(place, place + 1, (monitor->partition_count - at) * sizeof *place);
    }
    pthread_mutex_unlock(&monitor->lock);
}

/* Totals. */

void aq_monitor_commit(struct aq_monitor *monitor, int64_t latency_us)
{
    size_t bucket = 0;
    if (monitor == NULL)
        return;
    while (bucket < AQ_MONITOR_BUCKETS - 1 && latency_us > aq_monitor_bucket_us[bucket])
        bucket++;
    pthread_mutex_lock(&monitor->lock);
    monitor->totals.commit_count++;
    monitor->totals.commit_us_sum += latency_us;
    monitor->totals.commit_buckets[bucket]++;
    pthread_mutex_unlock(&monitor->lock);
}

void aq_monitor_set_writer(struct aq_monitor *monitor, size_t source,
                           const struct aq_monitor_totals *now)
{
    if (!knows(monitor, source))
        return;
    pthread_mutex_lock(&monitor->lock);
    monitor->totals.segment_bytes_written += now->segment_bytes_written;
    monitor->totals.segments_sealed += now->segments_sealed;
    monitor->writers[source] = *now;
    pthread_mutex_unlock(&monitor->lock);
}

static struct aq_monitor_totals sum_up(const struct aq_monitor *monitor)
{
    struct aq_monitor_totals sum = monitor->totals;
    for (size_t i = 0; i < monitor->source_count; i++) {
        const struct aq_monitor_totals *writer = &monitor->writers[i];
        int64_t since_us = writer->open_segment_since_us;
        sum.open_segment_bytes += writer->open_segment_bytes;
        sum.queue_bytes += writer->queue_bytes;
        sum.queue_messages += writer->queue_messages;
        if (since_us != 0 &&
            (sum.open_segment_since_us == 0 || since_us < sum.open_segment_since_us))
            sum.open_segment_since_us = since_us;
    }
    return sum;
}

/* For watchers. */

static enum aq_status copy_all(const struct aq_monitor *monitor, struct aq_monitor_view *view)
{
    struct aq_arena *arena = &view->arena;
    size_t source_bytes = monitor->source_count * sizeof *view->sources;
    size_t partition_bytes = monitor->partition_count * sizeof *view->partitions;
    view->sources = aq_arena_copy(arena, monitor->sources, source_bytes);
    view->partitions = aq_arena_alloc(arena, partition_bytes);
    if (view->sources == NULL || view->partitions == NULL)
        return AQ_NO_MEMORY;
    for (size_t i = 0; i < monitor->partition_count; i++) {
        view->partitions[i] = monitor->partitions[i];
        view->partitions[i].topic = aq_arena_string(arena, monitor->partitions[i].topic);
        if (view->partitions[i].topic == NULL)
            return AQ_NO_MEMORY;
    }
    view->source_count = monitor->source_count;
    view->partition_count = monitor->partition_count;
    view->totals = sum_up(monitor);
    return AQ_OK;
}

enum aq_status aq_monitor_copy(struct aq_monitor *monitor, struct aq_monitor_view *view)
{
    *view = (struct aq_monitor_view){0};
    pthread_mutex_lock(&monitor->lock);
    enum aq_status status = copy_all(monitor, view);
    pthread_mutex_unlock(&monitor->lock);
    if (status < 0)
        aq_monitor_view_deinit(view);
    return status;
}

void aq_monitor_view_deinit(struct aq_monitor_view *view)
{
    aq_arena_deinit(&view->arena);
    *view = (struct aq_monitor_view){0};
}
