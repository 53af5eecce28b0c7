/* -> and ->>: a member or an element of a json value, as json or as text. A name that is repeated in an
 * object means its last value, as in PostgreSQL; what is not there is null, and so is JSON's null for ->>. */
#include "engine/base/text/json_text.h"
#include "engine/query/expression/function.h"

/* What is looked for: a member by name, or an element by number. */
struct json_step {
    bool by_name;
    struct aq_slice name;
    int64_t number;
};

static bool name_matches(struct aq_slice inside, bool escaped, struct aq_slice name,
                         struct aq_arena *arena)
{
    if (!escaped)
        return aq_slice_equal(inside, name);
    uint8_t *plain = aq_arena_alloc(arena, inside.size);
    return plain != NULL &&
           aq_slice_equal(aq_slice_make(plain, aq_json_unescape(inside, plain)), name);
}

/* The value of the last member called `name`; the cursor stands behind the opening brace. */
static bool find_member(struct aq_json_cursor *cursor, struct aq_slice name, struct aq_arena *arena,
                        struct aq_slice *found)
{
    while (aq_json_peek(cursor) == '"') {
        struct aq_slice inside;
        struct aq_slice value;
        bool escaped;
        if (!aq_json_string(cursor, &inside, &escaped) || aq_json_peek(cursor) != ':')
            return false;
        cursor->token++;
        if (!aq_json_value(cursor, 1, &value))
            return false;
        if (name_matches(inside, escaped, name, arena))
            *found = value;
        if (aq_json_peek(cursor) == ',')
            cursor->token++;
    }
    return aq_json_peek(cursor) == '}';
}

/* Element `number` of the array, negative ones from its end; the cursor stands behind the bracket. */
static bool find_element(struct aq_json_cursor *cursor, int64_t number, struct aq_slice *found)
{
    size_t first = cursor->token;
    int64_t count = 0;
    for (int pass = number < 0 ? 0 : 1; pass < 2; pass++) {
        cursor->token = first;
        if (pass == 1 && number < 0)
            number += count;
        for (count = 0; aq_json_peek(cursor) != ']'; count++) {
            struct aq_slice value;
            if (!aq_json_value(cursor, 1, &value))
                return false;
            if (pass == 1 && count == number)
                *found = value;
            if (aq_json_peek(cursor) == ',')
                cursor->token++;
        }
    }
    return true;
}

/* `found` has no data where there is no such part. */
static enum aq_status find_part(struct aq_json_index *index, struct aq_slice json,
                                const struct json_step *step, struct aq_arena *arena,
                                struct aq_slice *found)
{
    struct aq_json_cursor cursor = {.text = json.data, .size = json.size};
    const char *why;
    *found = (struct aq_slice){0};
    AQ_TRY(aq_json_index_build(index, json, &cursor.offsets, &cursor.token_count, &why));
    uint8_t kind = aq_json_peek(&cursor);
    cursor.token++;
    if (kind == '{' && step->by_name && !find_member(&cursor, step->name, arena, found))
        return AQ_REJECT;
    if (kind == '[' && !step->by_name && !find_element(&cursor, step->number, found))
        return AQ_REJECT;
    return AQ_OK;
}

/* ->> gives a string's text, not its JSON. */
static enum aq_status text_of(struct aq_slice value, struct aq_arena *arena, struct aq_slice *text)
{
    *text = value;
    if (value.data[0] != '"')
        return AQ_OK;
    struct aq_slice inside = aq_slice_make(value.data + 1, value.size - 2);
    uint8_t *plain = aq_arena_alloc(arena, inside.size);
    if (plain == NULL)
        return AQ_NO_MEMORY;
    *text = aq_slice_make(plain, aq_json_unescape(inside, plain));
    return AQ_OK;
}

static enum aq_status take_parts(struct aq_eval *eval, const struct aq_vector *const *args,
                                 size_t row_count, struct aq_json_index *index,
                                 struct aq_vector *out)
{
    for (size_t i = 0; i < row_count; i++) {
        if (!aq_row_valid(out, i))
            continue;
        struct json_step step = {.by_name = args[1]->type == AQ_TYPE_TEXT};
        if (step.by_name)
            step.name = args[1]->slices[i];
        else
            step.number = args[1]->ints[i];
        struct aq_slice part;
        AQ_TRY(find_part(index, args[0]->slices[i], &step, &eval->arena, &part));
        bool json_null = out->type == AQ_TYPE_TEXT && part.size > 0 && part.data[0] == 'n';
        out->valid[i] = part.data != NULL && !json_null;
        out->slices[i] = part;
        if (out->valid[i] && out->type == AQ_TYPE_TEXT)
            AQ_TRY(text_of(part, &eval->arena, &out->slices[i]));
    }
    return AQ_OK;
}

static enum aq_status json_part(struct aq_eval *eval, const struct aq_expr *expr,
                                const struct aq_vector *const *args, size_t row_count,
                                struct aq_vector *out)
{
    struct aq_json_index *index = aq_json_index_create();
    enum aq_status status = index == NULL ? AQ_NO_MEMORY : aq_vector_need_validity(out);
    if (status == AQ_OK)
        status = take_parts(eval, args, row_count, index, out);
    aq_json_index_destroy(index);
    if (status == AQ_REJECT)
        return aq_eval_error(eval, expr, AQ_INVALID, "a value is no JSON");
    return status;
}

#define ROW(text, kind, second)                                                             \
    {                                                                                       \
        .name = (text), .result = (kind), .arg_count = 2, .args = {AQ_TYPE_JSON, (second)}, \
        .kernel = json_part                                                                 \
    }

static const struct aq_function functions[] = {
    ROW("->", AQ_TYPE_JSON, AQ_TYPE_TEXT),
    ROW("->", AQ_TYPE_JSON, AQ_TYPE_INTEGER),
    ROW("->>", AQ_TYPE_TEXT, AQ_TYPE_TEXT),
    ROW("->>", AQ_TYPE_TEXT, AQ_TYPE_INTEGER),
};

const struct aq_function_list aq_json_functions = {.functions = functions,
                                                   .count = sizeof functions / sizeof functions[0]};
