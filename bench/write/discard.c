/* A Kafka consumer that throws every message away: what reading a topic costs at least with librdkafka.
 *
 *   discard BROKERS TOPIC PARTITIONS    reads each partition from its beginning to its present end
 *
 * Prints the number of messages and bytes. Failures: exit 1 with the library's message. */
#include <librdkafka/rdkafka.h>
#include <stdio.h>
#include <stdlib.h>

#define BATCH 1000
#define WAIT_MS 100 /* for a full batch, then for what there is */
#define WAITS_MAX 300

static void set(rd_kafka_conf_t *conf, const char *name, const char *value)
{
    char message[256];
    if (rd_kafka_conf_set(conf, name, value, message, sizeof message) == RD_KAFKA_CONF_OK)
        return;
    fprintf(stderr, "discard: %s\n", message);
    exit(1);
}

static rd_kafka_t *begin(const char *brokers, const char *topic, int partition_count)
{
    char message[256];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    set(conf, "bootstrap.servers", brokers);
    set(conf, "group.id", "discard");
    set(conf, "enable.auto.commit", "false");
    set(conf, "enable.partition.eof", "true");
    rd_kafka_t *consumer = rd_kafka_new(RD_KAFKA_CONSUMER, conf, message, sizeof message);
    if (consumer == NULL) {
        fprintf(stderr, "discard: %s\n", message);
        exit(1);
    }
    rd_kafka_poll_set_consumer(consumer);
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(partition_count);
    for (int i = 0; i < partition_count; i++)
        rd_kafka_topic_partition_list_add(list, topic, i)->offset = RD_KAFKA_OFFSET_BEGINNING;
    rd_kafka_assign(consumer, list);
    rd_kafka_topic_partition_list_destroy(list);
    return consumer;
}

int main(int argc, char **argv)
{
    if (argc != 4)
        return 2;
    int left = (int)strtol(argv[3], NULL, 10);
    rd_kafka_t *consumer = begin(argv[1], argv[2], left);
    rd_kafka_queue_t *queue = rd_kafka_queue_get_consumer(consumer);
    rd_kafka_message_t *messages[BATCH];
    unsigned long long message_count = 0;
    unsigned long long bytes = 0;
    int waits = 0;
    while (left > 0) {
        ssize_t count = rd_kafka_consume_batch_queue(queue, WAIT_MS, messages, BATCH);
        waits = count > 0 ? 0 : waits + 1;
        if (waits > WAITS_MAX) {
            fprintf(stderr, "discard: no message for %d s\n", WAIT_MS * WAITS_MAX / 1000);
            return 1;
        }
        for (ssize_t i = 0; i < count; i++) {
            if (messages[i]->err == RD_KAFKA_RESP_ERR_NO_ERROR) {
                message_count++;
                bytes += messages[i]->len;
            } else if (messages[i]->err == RD_KAFKA_RESP_ERR__PARTITION_EOF) {
                left--;
            }
            rd_kafka_message_destroy(messages[i]);
        }
    }
    printf("%llu messages, %llu bytes\n", message_count, bytes);
    rd_kafka_queue_destroy(queue);
    rd_kafka_consumer_close(consumer);
    rd_kafka_destroy(consumer);
    return 0;
}
