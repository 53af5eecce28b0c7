/* simdjson's first stage, with its run-time choice of the processor's best instructions.
 *
 * Happy path: the parser grows to the longest text seen and its token offsets are handed out as they are.
 * Failures: simdjson's verdicts become reasons for a reject.
 *
 * Why only the first stage: docs/decisions/json-parser.md. */
#include <memory>
#include <new>

#include <simdjson.h>

extern "C" {
#include "engine/base/text/json_index.h"
}

struct aq_json_index {
    std::unique_ptr<simdjson::internal::dom_parser_implementation> parser;
};

namespace
{

constexpr size_t capacity_min = 4096;

simdjson::error_code make_room(aq_json_index *index, size_t size)
{
    if (index->parser && index->parser->capacity() >= size)
        return simdjson::SUCCESS;
    size_t capacity = index->parser ? 2 * index->parser->capacity() : capacity_min;
    if (capacity < size)
        capacity = size;
    index->parser.reset();
    return simdjson::get_active_implementation()->create_dom_parser_implementation(capacity, 1,
                                                                                   index->parser);
}

const char *reason_of(simdjson::error_code code)
{
    switch (code) {
    case simdjson::UTF8_ERROR:
        return "not UTF-8";
    case simdjson::UNCLOSED_STRING:
        return "a string is not closed";
    case simdjson::UNESCAPED_CHARS:
        return "a control character stands in a string";
    case simdjson::EMPTY:
        return "empty";
    case simdjson::CAPACITY:
        return "longer than 4 GiB";
    default:
        return simdjson::error_message(code);
    }
}

} // namespace

extern "C" {

struct aq_json_index *aq_json_index_create(void)
{
    return new (std::nothrow) aq_json_index;
}

void aq_json_index_destroy(struct aq_json_index *index)
{
    delete index;
}

enum aq_status aq_json_index_build(struct aq_json_index *index, struct aq_slice text,
                                   const uint32_t **offsets, size_t *token_count,
                                   const char **reason)
{
    simdjson::error_code code = simdjson::EMPTY;
    if (text.size > 0)
        code = make_room(index, text.size);
    if (code == simdjson::SUCCESS)
        code = index->parser->stage1(text.data, text.size, simdjson::stage1_mode::regular);
    if (code == simdjson::MEMALLOC)
        return AQ_NO_MEMORY;
    if (code != simdjson::SUCCESS) {
        *reason = reason_of(code);
        return AQ_REJECT;
    }
    *offsets = index->parser->structural_indexes.get();
    *token_count = index->parser->n_structural_indexes;
    return AQ_OK;
}

bool aq_utf8_valid(struct aq_slice text)
{
    return simdjson::validate_utf8(reinterpret_cast<const char *>(text.data), text.size);
}

} // extern "C"
