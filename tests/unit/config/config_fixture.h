/* Configs from texts, and texts that are none. */
#ifndef AQ_TESTS_UNIT_CONFIG_FIXTURE_H
#define AQ_TESTS_UNIT_CONFIG_FIXTURE_H

#include <criterion/criterion.h>
#include <string.h>

#include "engine/ingest/config.h"

static inline struct aq_config *parse(const char *text)
{
    struct aq_config *config = NULL;
    struct aq_error err = {0};
    enum aq_status status = aq_config_parse("a.yaml", aq_slice_of(text), &config, &err);
    cr_assert_eq(status, AQ_OK, "%s: %s", err.path, err.message);
    return config;
}

/* The text is refused at `path`, with `part` in the message. */
static inline void refuse(const char *text, const char *path, const char *part)
{
    struct aq_config *config = NULL;
    struct aq_error err = {0};
    enum aq_status status = aq_config_parse("a.yaml", aq_slice_of(text), &config, &err);
    cr_assert_eq(status, AQ_INVALID, "accepted: %s", text);
    cr_assert_str_eq(err.path, path, "%s: %s", err.path, err.message);
    cr_assert_not_null(strstr(err.message, part), "%s: %s", err.path, err.message);
}

#endif
