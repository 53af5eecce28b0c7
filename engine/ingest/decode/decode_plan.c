/* Step 2 of a message's way, before the first one: a dataset's config becomes a decoder.
 *
 * Happy path: every column of the recorded declaration finds its config by name; its paths are given
 * fields, one a distinct path, its zone and time format are looked up, its default is typed.
 * Failures: what the config checker could not see (a default that does not fit its type) is AQ_INVALID
 * with the column's place. */
#include "engine/ingest/decode/decode.h"

#include <assert.h>
#include <stdlib.h>

#include "engine/base/text/json_index.h"

struct planner {
    struct aq_decoder *decoder;
    const struct aq_dataset_config *config;
};

static enum aq_status plan_template(struct planner *planner, const struct aq_path *path,
                                    struct aq_column_origin *origin)
{
    origin->part_count = path->part_count;
    origin->parts =
        aq_arena_alloc(&planner->decoder->arena, path->part_count * sizeof *origin->parts);
    if (origin->parts == NULL)
        return AQ_NO_MEMORY;
    for (size_t i = 0; i < path->part_count; i++) {
        struct aq_origin_part *part = &origin->parts[i];
        *part = (struct aq_origin_part){.text = path->parts[i].text, .field = SIZE_MAX};
        if (path->parts[i].path != NULL)
            AQ_TRY(aq_decoder_add_path(planner->decoder, path->parts[i].path, &part->field));
    }
    return AQ_OK;
}

static enum aq_status plan_origin(struct planner *planner, enum aq_type type,
                                  const struct aq_path *path, struct aq_column_origin *origin)
{
    *origin = (struct aq_column_origin){.kind = path->kind, .path = path->text};
    /* the config's reader sees to it */
    assert(type == AQ_TYPE_TIMESTAMPTZ ||
           (path->kind != AQ_PATH_ARRIVAL && path->kind != AQ_PATH_KAFKA_TIMESTAMP));
    if (path->kind == AQ_PATH_TEMPLATE)
        return plan_template(planner, path, origin);
    if (path->kind != AQ_PATH_REST)
        return aq_decoder_add_path(planner->decoder, path, &origin->field);
    planner->decoder->wants_rest = true;
    return AQ_OK;
}

/* A column without `from` is found under its own name. */
static enum aq_status plan_own_name(struct planner *planner, struct aq_column_plan *plan)
{
    struct aq_arena *arena = &planner->decoder->arena;
    struct aq_path *path = aq_arena_alloc(arena, sizeof *path);
    struct aq_path_step *step = aq_arena_alloc(arena, sizeof *step);
    if (path == NULL || step == NULL)
        return AQ_NO_MEMORY;
    struct aq_slice name = aq_slice_of(plan->column->name);
    *step = (struct aq_path_step){.member = name};
    *path = (struct aq_path){.kind = AQ_PATH_VALUE, .text = name, .step_count = 1, .steps = step};
    return plan_origin(planner, plan->column->type, path, &plan->origins[0]);
}

static enum aq_status plan_origins(struct planner *planner, struct aq_column_plan *plan)
{
    const struct aq_column_config *config = plan->config;
    plan->origin_count = config->from_count == 0 ? 1 : config->from_count;
    plan->origins =
        aq_arena_alloc(&planner->decoder->arena, plan->origin_count * sizeof *plan->origins);
    if (plan->origins == NULL)
        return AQ_NO_MEMORY;
    if (config->from_count == 0)
        return plan_own_name(planner, plan);
    for (size_t i = 0; i < config->from_count; i++)
        AQ_TRY(plan_origin(planner, plan->column->type, &config->from[i], &plan->origins[i]));
    return AQ_OK;
}

static enum aq_status plan_time(struct planner *planner, struct aq_column_plan *plan,
                                struct aq_error *err)
{
    static const struct {
        const char *name;
        int64_t unit_us;
    } epochs[] = {{"epoch_s", 1000000}, {"epoch_ms", 1000}, {"epoch_us", 1}};
    const struct aq_column_config *config = plan->config;
    struct aq_arena *arena = &planner->decoder->arena;
    plan->zone = aq_zone_utc();
    if (config->zone.size > 0) {
        char *name =
            aq_arena_format(arena, "%.*s", (int)config->zone.size, (const char *)config->zone.data);
        if (name == NULL)
            return AQ_NO_MEMORY;
        AQ_TRY(aq_zone_find(name, true, &plan->zone, err));
    }
    if (config->format.size == 0)
        return AQ_OK;
    for (size_t i = 0; i < sizeof epochs / sizeof *epochs; i++) {
        if (aq_slice_equal(config->format, aq_slice_of(epochs[i].name))) {
            plan->time_form = AQ_TIME_EPOCH;
            plan->epoch_us = epochs[i].unit_us;
            return AQ_OK;
        }
    }
    plan->time_form = AQ_TIME_PATTERN;
    plan->pattern =
        aq_arena_format(arena, "%.*s", (int)config->format.size, (const char *)config->format.data);
    if (plan->pattern == NULL)
        return AQ_NO_MEMORY;
    return aq_time_pattern_check(plan->pattern, err);
}

static enum aq_status plan_default(struct planner *planner, struct aq_column_plan *plan,
                                   struct aq_error *err)
{
    plan->default_value.is_null = true;
    if (!plan->config->has_default)
        return AQ_OK;
    struct aq_field field = {.kind = AQ_FIELD_TEXT, .text = plan->config->default_value};
    struct aq_column_config bare = *plan->config;
    bare.has_scale = false;
    bare.map_count = 0;
    struct aq_column_plan unscaled = *plan;
    unscaled.config = &bare;
    char reason[AQ_REASON_BYTES_MAX];
    enum aq_status status =
        aq_value_convert(&unscaled, &field, &planner->decoder->arena, &plan->default_value, reason);
    if (status == AQ_REJECT)
        return aq_error_set(err, AQ_INVALID, "default: %s", reason);
    return status;
}

static enum aq_status plan_column(struct planner *planner, size_t index, struct aq_error *err)
{
    struct aq_decoder *decoder = planner->decoder;
    struct aq_column_plan *plan = &decoder->plans[index];
    const struct aq_schema *schema = decoder->schema;
    *plan = (struct aq_column_plan){.column = &schema->columns[index]};
    uint32_t at = aq_schema_find(&planner->config->schema, plan->column->name);
    if (at == AQ_COLUMN_NONE || plan->column->hidden)
        return AQ_OK;
    plan->config = &planner->config->columns[at];
    plan->json_index = decoder->json_index;
    plan->not_null =
        plan->column->required || index == schema->key_column || index == schema->time_column;
    AQ_TRY(plan_origins(planner, plan));
    enum aq_status status = plan_time(planner, plan, err);
    if (status == AQ_OK)
        status = plan_default(planner, plan, err);
    if (status == AQ_INVALID && err != NULL) {
        struct aq_error cause = *err;
        return aq_error_set(
            err, AQ_INVALID, "dataset '%s', column '%s' (line %d of the config): %s",
            schema->dataset, plan->column->name, plan->config->mark.line, cause.message);
    }
    return status;
}

static enum aq_status plan_all(struct planner *planner, const struct aq_schema *rejects,
                               struct aq_error *err)
{
    struct aq_decoder *decoder = planner->decoder;
    size_t column_count = decoder->schema->column_count;
    decoder->json_index = aq_json_index_create();
    decoder->plans = aq_arena_alloc(&decoder->arena, column_count * sizeof *decoder->plans);
    decoder->values = aq_arena_alloc(&decoder->arena, column_count * sizeof *decoder->values);
    if (decoder->json_index == NULL || decoder->plans == NULL || decoder->values == NULL)
        return AQ_NO_MEMORY;
    for (size_t i = 0; i < column_count; i++)
        AQ_TRY(plan_column(planner, i, err));
    decoder->column_field_count = decoder->field_count;
    AQ_TRY(aq_schema_batch_init(decoder->schema, true, &decoder->rows));
    return aq_schema_batch_init(rejects, true, &decoder->rejects);
}

enum aq_status aq_decoder_create(const struct aq_dataset_config *config,
                                 const struct aq_schema *schema, const struct aq_schema *rejects,
                                 const char *source, struct aq_decoder **decoder,
                                 struct aq_error *err)
{
    struct aq_decoder *made = calloc(1, sizeof *made);
    if (made == NULL)
        return aq_error_set(err, AQ_NO_MEMORY, "making a decoder: out of memory");
    made->schema = schema;
    made->config = config;
    made->source = aq_slice_of(source);
    struct planner planner = {.decoder = made, .config = config};
    enum aq_status status = plan_all(&planner, rejects, err);
    if (status == AQ_NO_MEMORY)
        aq_error_set(err, AQ_NO_MEMORY, "making a decoder: out of memory");
    if (status < 0) {
        aq_decoder_destroy(made);
        return status;
    }
    *decoder = made;
    return AQ_OK;
}

void aq_decoder_destroy(struct aq_decoder *decoder)
{
    if (decoder == NULL)
        return;
    aq_batch_deinit(&decoder->rows);
    aq_batch_deinit(&decoder->rejects);
    aq_bytes_deinit(&decoder->scratch);
    aq_json_index_destroy(decoder->json_index);
    aq_arena_deinit(&decoder->arena);
    free(decoder);
}
