/* config check: is the config right? config show: what it comes to, defaults filled in. */
#include <string.h>

#include "engine/ingest/kafka/kafka.h"
#include "engine/object/s3.h"
#include "tools/commands/commands.h"
#include "tools/output/text/json_print.h"

static void check_json(struct aq_program *program, const struct aq_config *config)
{
    struct aq_bytes out = {0};
    aq_json_open(&out, '{');
    aq_json_member_bool(&out, "ok", true);
    aq_json_member_text(&out, "config", config->path);
    aq_json_member_text(&out, "store", config->store);
    aq_json_member_count(&out, "datasets", config->dataset_count);
    aq_json_member_count(&out, "sources", config->source_count);
    aq_json_member_count(&out, "views", config->view_count);
    aq_json_close(&out, '}');
    aq_bytes_u8(&out, '\n');
    aq_out_bytes(program->out, &out);
    aq_bytes_deinit(&out);
}

/* What only librdkafka knows: its properties. Nothing is asked of a broker. */
static enum aq_status check_clients(const struct aq_config *config, struct aq_error *err)
{
    for (size_t i = 0; i < config->source_count; i++) {
        if (config->sources[i].is_kafka)
            AQ_TRY(aq_kafka_check(config, &config->sources[i], err));
    }
    return AQ_OK;
}

/* What only the S3 driver knows: how a bucket may be called. Keys are not looked for: the service's may be in
 * an environment of its own. */
static enum aq_status check_bucket(const struct aq_config *config, struct aq_error *err)
{
    struct aq_object_store *bucket = NULL;
    if (config->tier == NULL)
        return AQ_OK;
    struct aq_s3_options options = {.url = config->tier_config.to,
                                    .endpoint = config->tier_config.endpoint,
                                    .region = config->tier_config.region,
                                    .access_key = "any",
                                    .secret_key = "any"};
    AQ_TRY(aq_object_open_s3(&options, &bucket, err));
    aq_object_close(bucket);
    return AQ_OK;
}

static enum aq_status check(const struct aq_config *config, struct aq_error *err)
{
    AQ_TRY(check_clients(config, err));
    enum aq_status status = check_bucket(config, err);
    return status < 0 ? aq_error_locate(err, status, config->path, 0) : AQ_OK;
}

enum aq_status aq_command_config(struct aq_program *program, struct aq_error *err)
{
    const struct aq_options *options = &program->options;
    const char *what = options->argument_count > 0 ? options->arguments[0] : "";
    const struct aq_config *config = NULL;
    if (strcmp(what, "check") != 0 && strcmp(what, "show") != 0)
        return aq_error_set(err, AQ_INVALID, "say 'config check' or 'config show'");
    AQ_TRY(aq_program_config(program, &config, err));
    if (strcmp(what, "check") == 0) {
        AQ_TRY(check(config, err));
        if (options->json)
            check_json(program, config);
        else
            aq_out_printf(program->out, "%s: ok: %zu dataset%s, %zu source%s, %zu view%s\n",
                          config->path, config->dataset_count,
                          config->dataset_count == 1 ? "" : "s", config->source_count,
                          config->source_count == 1 ? "" : "s", config->view_count,
                          config->view_count == 1 ? "" : "s");
        return AQ_OK;
    }
    struct aq_bytes text = {0};
    enum aq_status status = aq_config_show(config, &text);
    if (status < 0)
        status = aq_error_set(err, status, "cannot print the config: %s", aq_status_text(status));
    else
        aq_out_bytes(program->out, &text);
    aq_bytes_deinit(&text);
    return status;
}
