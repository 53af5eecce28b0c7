/* One consumer of a Kafka group, with the sources it serves: shared by the steps in this folder. All of it
 * belongs to one thread; librdkafka's callbacks run on it, too, inside poll. */
#ifndef AQ_ENGINE_INGEST_KAFKA_CONSUMER_H
#define AQ_ENGINE_INGEST_KAFKA_CONSUMER_H

#include <librdkafka/rdkafka.h>
#include <regex.h>

#include "engine/base/clock.h"
#include "engine/ingest/decode/message.h"
#include "engine/ingest/kafka/kafka.h"
#include "engine/ingest/route.h"
#include "engine/store/feed/feeds.h"

#define AQ_KAFKA_FRAMES_IN_FLIGHT 4
#define AQ_KAFKA_ASK_MS \
    1500 /* a question to the broker; what is asked in a row fits into a drain */
#define AQ_KAFKA_CLUSTER_BYTES 128

/** A topic as a source names it. */
struct aq_kafka_topic {
    const char *name;
    bool is_pattern;
    regex_t pattern;
};

struct aq_kafka_counts {
    uint64_t row_count;
    uint64_t reject_counts[AQ_REJECT_CLASS_COUNT];
    uint64_t passed_count;
    uint64_t input_bytes;
    int64_t last_message_us;
};

/** A source of the config: what becomes of a message. */
struct aq_kafka_source {
    const struct aq_source_config *config;
    size_t monitor; /* index there; SIZE_MAX: none */
    size_t topic_count;
    struct aq_kafka_topic *topics;
    const struct aq_schema *schema;
    const struct aq_schema *rejects;
    struct aq_decoder *decoder;
    struct aq_message_decoder *message;
    struct aq_router *row_router;
    struct aq_router *reject_router;
    size_t decoded_bytes;          /* in the decoder */
    struct aq_kafka_counts counts; /* of what is in the decoder */
    bool halted;                   /* needs somebody */
    char trouble[512];             /* of its topics; "": none */
};

enum aq_kafka_phase {
    AQ_KAFKA_TAKING,   /* messages from next_ordinal on are taken */
    AQ_KAFKA_CHECKING, /* waits for the last stored message, to compare it */
    AQ_KAFKA_LOOKING,  /* waits for the first message in the log, to see whether all of it is new */
    AQ_KAFKA_HALTED,   /* its source needs somebody */
};

/** A source's share of a partition. */
struct aq_kafka_feed {
    struct aq_kafka_source *source;
    struct aq_feed_state state; /* durable; its texts belong to config, partition and consumer */
    enum aq_kafka_phase phase;
    uint64_t next_ordinal;          /* behind what was taken */
    uint64_t written_ordinal;       /* behind what was handed to the writer */
    struct aq_source_range pending; /* taken, not handed over; feed_id 0: nothing */
};

struct aq_kafka_partition {
    char *topic;
    int32_t number;
    bool settled;      /* its feeds are claimed, and it is fetched from where they stand */
    bool paused;       /* at the broker's side */
    uint64_t low;      /* first offset in the log, as asked for last */
    uint64_t expected; /* no message below it comes next, or the log is another one */
    uint64_t barrier;  /* batch whose further messages are not to be taken: there was a seek */
    bool at_end;       /* the end of the log was met at `expected` */
    int64_t committed; /* offset sent to the broker last; -1: none */
    size_t feed_count;
    struct aq_kafka_feed *feeds;
};

/** A frame that was handed to the writer. */
struct aq_kafka_written {
    int64_t begun_us; /* monotonic, of its first message */
    uint64_t bytes;
    uint64_t message_count;
    size_t feed_count;
    size_t feed_capacity;
    struct aq_kafka_feed **feeds;   /* in the order of the frame's ranges */
    struct aq_kafka_counts *counts; /* by source */
};

/** The end of a partition's log when a run with `once` began. */
struct aq_kafka_goal {
    char *topic;
    int32_t partition;
    uint64_t end_ordinal;
};

struct aq_kafka_said {
    uint64_t hash;
    int64_t when_us;
};
#define AQ_KAFKA_SAID_MAX 16

struct aq_kafka_consumer {
    struct aq_store *store;
    const struct aq_kafka_run_options *options;
    size_t source_count;
    struct aq_kafka_source *sources;
    rd_kafka_t *rk;
    char cluster[AQ_KAFKA_CLUSTER_BYTES]; /* id; "": not known yet */
    char mark[48];                        /* of this store, in the metadata of commits */

    size_t partition_count;
    size_t partition_capacity;
    struct aq_kafka_partition **partitions;    /* assigned; by topic and number */
    uint64_t batch;                            /* number of the batch being taken */
    const rd_kafka_message_t *last_taken;      /* of it; not hashed yet; NULL: none */
    struct aq_kafka_partition *last_partition; /* its partition */
    size_t header_capacity;
    struct aq_kafka_header *headers; /* of the present message */

    /* What the group wants; done behind the batch in which it came. */
    struct {
        bool waiting;
        bool assign;
        bool lost;
        rd_kafka_topic_partition_list_t *partitions;
    } rebalance;
    bool subscribed;
    bool assigned; /* at least once */
    bool closing;
    bool left; /* the group, or there was none to leave */

    /* The frame being filled. */
    size_t pending_count;
    size_t pending_capacity;
    struct aq_kafka_feed **pending;
    size_t range_capacity;
    struct aq_source_range *ranges;
    struct aq_section_input *sections; /* two a source */
    int64_t frame_begun_us;            /* monotonic; 0: nothing pending */
    int64_t written_us;                /* when the last frame was handed to the writer */
    uint64_t frame_bytes;
    uint64_t frame_message_count;

    /* Frames on their way, in order. */
    struct aq_kafka_written written[AQ_KAFKA_FRAMES_IN_FLIGHT + 1];
    size_t written_first;
    size_t written_count;

    struct aq_shard_writer *writer; /* NULL: given up, to be made again */
    uint64_t segment_count;         /* that the writer has opened */
    int64_t segment_since_us;       /* wall clock, when the open one was seen first; 0: none open */
    uint64_t segment_begin_bytes;   /* what the writer had written then */
    uint64_t shown_bytes;           /* what the monitor has been told of the writer */
    uint64_t shown_sealed_count;
    bool disk_full;
    uint64_t free_bytes; /* on the disk, when it was full */
    int64_t tried_us;    /* monotonic, when it was tried last */

    int64_t begun_us;         /* monotonic, as are those that follow */
    int64_t polled_us;        /* when the group was served last */
    bool was_away;            /* for so long that its partitions may have another owner */
    uint64_t verified_number; /* of the catalog by which it had none */
    int64_t retry_us;         /* when to try again what could not be settled; 0: nothing */
    int64_t commit_us;        /* of the last commit */
    bool commit_due;          /* there are durable positions that the broker has not been told */
    int64_t watch_us;         /* of the last look at lags and gauges */
    int64_t probe_us;         /* of the last question whether a broker is there again */

    char trouble[512];   /* what all sources wait for; "": nothing */
    bool is_unreachable; /* that is: no broker answers */
    char doubt[256];     /* a broker was lost: why; "": one has answered since */
    bool is_foreign;     /* the group belongs to another store: nothing can go on */
    char fatal[512];     /* librdkafka has given up: why */
    struct aq_kafka_said said[AQ_KAFKA_SAID_MAX];
    size_t said_next;

    size_t goal_count;
    struct aq_kafka_goal *goals;
    bool has_goals;
    int64_t others_since_us; /* monotonic, since when only theirs is missing; 0: it is not so */
    int64_t others_us;       /* of the last look that found something missing */
};

/** Whether a signal has asked for a drain. */
bool aq_kafka_is_stopped(const struct aq_kafka_consumer *consumer);

/* kafka_client.c: from the config to a librdkafka handle. */

/** A consumer for `source`; with `opaque` a member of its group, with callbacks, else for questions
 * only. `config` may be NULL: then positions in messages lack the file. */
enum aq_status aq_kafka_client_create(const struct aq_source_config *source,
                                      const struct aq_config *config,
                                      struct aq_kafka_consumer *opaque, rd_kafka_t **rk,
                                      struct aq_error *err) AQ_RESULT;

/** A producer with the same settings; properties of consumers mean nothing to it. */
enum aq_status aq_kafka_producer_client_create(
    const struct aq_source_config *source, const struct aq_config *config, void *opaque,
    void (*delivered)(rd_kafka_t *rk, const rd_kafka_message_t *message, void *opaque),
    rd_kafka_t **rk, struct aq_error *err) AQ_RESULT;

/* kafka_sources.c: decoders and topics. */

enum aq_status aq_kafka_sources_create(struct aq_kafka_consumer *consumer,
                                       struct aq_error *err) AQ_RESULT;
void aq_kafka_sources_destroy(struct aq_kafka_consumer *consumer);
bool aq_kafka_source_reads(const struct aq_kafka_source *source, const char *topic);
enum aq_status aq_kafka_subscribe(struct aq_kafka_consumer *consumer,
                                  struct aq_error *err) AQ_RESULT;

/* kafka_partitions.c: what is assigned. */

struct aq_kafka_partition *aq_kafka_partition_find(const struct aq_kafka_consumer *consumer,
                                                   const char *topic, int32_t number);
/** The known one, or a new one, not settled; NULL when memory is out. */
struct aq_kafka_partition *aq_kafka_partition_add(struct aq_kafka_consumer *consumer,
                                                  const char *topic, int32_t number);
/** Nothing of it may be pending or on its way. */
void aq_kafka_partition_remove(struct aq_kafka_consumer *consumer,
                               struct aq_kafka_partition *partition);
void aq_kafka_partitions_destroy(struct aq_kafka_consumer *consumer);
/** Fetch it, or do not. A wish: a partition that just goes away is left alone. */
void aq_kafka_partition_pause(struct aq_kafka_consumer *consumer,
                              struct aq_kafka_partition *partition, bool pause);
/** Whether any feed still takes messages or checks. */
bool aq_kafka_partition_is_read(const struct aq_kafka_partition *partition);
/** Fetch from `ordinal` on. False when the partition is in no state for that, now. */
bool aq_kafka_partition_seek(struct aq_kafka_consumer *consumer,
                             struct aq_kafka_partition *partition, uint64_t ordinal);

/* kafka_rebalance.c: the group gives and takes. */

void aq_kafka_rebalance_cb(rd_kafka_t *rk, rd_kafka_resp_err_t what,
                           rd_kafka_topic_partition_list_t *partitions, void *opaque);
/** Do what the callback noted. */
enum aq_status aq_kafka_rebalance(struct aq_kafka_consumer *consumer,
                                  struct aq_error *err) AQ_RESULT;

/* kafka_settle.c: where assigned partitions go on. */

/**
 * Claim the feeds of all partitions that are not settled, and see from where to fetch each
 * (aq_kafka_partition_start). AQ_OK also when that has to be tried again: retry_us is set then.
 */
enum aq_status aq_kafka_settle(struct aq_kafka_consumer *consumer, struct aq_error *err) AQ_RESULT;
uint64_t aq_kafka_partition_start(const struct aq_kafka_partition *partition);
/** Go on with partitions that were paused and have been settled since, from where they stand. */
void aq_kafka_resume_settled(struct aq_kafka_consumer *consumer);
/** Settle what waits for it, and go on fetching there. */
enum aq_status aq_kafka_settle_again(struct aq_kafka_consumer *consumer,
                                     struct aq_error *err) AQ_RESULT;
/** Look again where a partition stands: its log seems to be another one. */
enum aq_status aq_kafka_unsettle(struct aq_kafka_consumer *consumer,
                                 struct aq_kafka_partition *partition,
                                 struct aq_error *err) AQ_RESULT;

/* kafka_check.c: is it still the same log? */

struct aq_hash128 aq_kafka_message_hash(const rd_kafka_message_t *message);
/** Whether a position knows the last message before it. */
bool aq_kafka_has_last(const struct aq_feed_position *position);
int64_t aq_kafka_message_stamp(const rd_kafka_message_t *message);
/** The phase and the beginning of a feed that was just claimed, by what the log has. */
enum aq_status aq_kafka_check_begin(struct aq_kafka_consumer *consumer,
                                    const struct aq_kafka_partition *partition,
                                    struct aq_kafka_feed *feed, uint64_t high,
                                    struct aq_error *err) AQ_RESULT;
/** A message for a feed that does not take yet. */
enum aq_status aq_kafka_check_message(struct aq_kafka_consumer *consumer,
                                      struct aq_kafka_partition *partition,
                                      struct aq_kafka_feed *feed, const rd_kafka_message_t *message,
                                      struct aq_error *err) AQ_RESULT;
/** The end of the log was met. */
enum aq_status aq_kafka_check_end(struct aq_kafka_consumer *consumer,
                                  struct aq_kafka_partition *partition, uint64_t end,
                                  struct aq_error *err) AQ_RESULT;
/** Messages before `low` went before they were read: record, count, say, go on behind them. */
enum aq_status aq_kafka_lost(struct aq_kafka_consumer *consumer,
                             const struct aq_kafka_partition *partition, struct aq_kafka_feed *feed,
                             uint64_t low, struct aq_error *err) AQ_RESULT;
/** Stop one source, which needs somebody. */
void aq_kafka_halt(struct aq_kafka_consumer *consumer, struct aq_kafka_source *source,
                   const char *why);

/* kafka_take.c: messages into decoders. */

enum aq_status aq_kafka_take(struct aq_kafka_consumer *consumer, rd_kafka_message_t *const *batch,
                             size_t count, struct aq_error *err) AQ_RESULT;

/** Hash the message that was taken last: before a frame is closed. */
void aq_kafka_take_remember(struct aq_kafka_consumer *consumer);

/* kafka_frame.c: frames, acks, commits. */

bool aq_kafka_frame_is_due(const struct aq_kafka_consumer *consumer);
/** Hand what is pending to the writer. */
enum aq_status aq_kafka_frame_close(struct aq_kafka_consumer *consumer,
                                    struct aq_error *err) AQ_RESULT;
/** Close, and wait until everything is durable. */
enum aq_status aq_kafka_frame_flush(struct aq_kafka_consumer *consumer,
                                    struct aq_error *err) AQ_RESULT;
/** Forget what is pending, and what is on its way if `written`, too. */
void aq_kafka_frame_drop(struct aq_kafka_consumer *consumer, bool written);
void aq_kafka_frame_ack(void *context, const struct aq_source_range *ranges, size_t range_count);
void aq_kafka_frames_destroy(struct aq_kafka_consumer *consumer);
/** Tell the broker the durable positions of feeds that are ours; information only. `wait` for its
 * answer for a moment. */
enum aq_status aq_kafka_commit(struct aq_kafka_consumer *consumer, bool wait,
                               struct aq_error *err) AQ_RESULT;

/* kafka_writer.c: the shard writer's life. */

/** Make the writer if there is none; recovers what an earlier one left. AQ_END: the disk is still full;
 * retry_us is set. */
enum aq_status aq_kafka_writer_need(struct aq_kafka_consumer *consumer,
                                    struct aq_error *err) AQ_RESULT;
/** Something failed: AQ_OK when that can be waited for, and then everything that is not durable is
 * forgotten, and all partitions wait to be settled again; else `status`. */
enum aq_status aq_kafka_writer_failed(struct aq_kafka_consumer *consumer, enum aq_status status,
                                      struct aq_error *err) AQ_RESULT;
/** Seal an old segment; note what the writer did. */
enum aq_status aq_kafka_writer_tend(struct aq_kafka_consumer *consumer,
                                    struct aq_error *err) AQ_RESULT;
/** Whether all feeds are still this process's, by the newest catalog; if not, as aq_kafka_writer_failed. */
enum aq_status aq_kafka_writer_verify(struct aq_kafka_consumer *consumer,
                                      struct aq_error *err) AQ_RESULT;

/* kafka_events.c: what goes wrong out there. */

/** An error instead of a message. */
enum aq_status aq_kafka_event(struct aq_kafka_consumer *consumer, const rd_kafka_message_t *message,
                              struct aq_error *err) AQ_RESULT;
void aq_kafka_error_cb(rd_kafka_t *rk, int code, const char *reason, void *opaque);
/** The broker answered. */
void aq_kafka_reached(struct aq_kafka_consumer *consumer);
/** While it is not known that a broker answers: ask. librdkafka's word that all are down does not always come:
 * it counts the connection to the coordinator, which it may have let go before it looks. */
void aq_kafka_probe(struct aq_kafka_consumer *consumer);
/** Say it, unless it was said within a minute. */
void aq_kafka_say(struct aq_kafka_consumer *consumer, const char *format, ...) AQ_PRINTF(2, 3);

/* kafka_watch.c: states, lags, gauges. */

void aq_kafka_show_states(struct aq_kafka_consumer *consumer);
void aq_kafka_watch(struct aq_kafka_consumer *consumer);
/** Whether the thread was not here for so long that the group may have given it up. */
bool aq_kafka_is_away(const struct aq_kafka_consumer *consumer);

/* kafka_once.c: the end of a run that has one. */

/** Note the ends of all logs. AQ_TEMPORARY: ask again. */
enum aq_status aq_kafka_once_begin(struct aq_kafka_consumer *consumer,
                                   struct aq_error *err) AQ_RESULT;
/** Whether the broker has none of the topics: a group would never give this member anything. Says so. */
bool aq_kafka_once_is_empty(struct aq_kafka_consumer *consumer);
bool aq_kafka_once_is_done(struct aq_kafka_consumer *consumer);
void aq_kafka_once_end(struct aq_kafka_consumer *consumer);

#endif
