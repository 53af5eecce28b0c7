/* What the sections with secrets share. */
#ifndef AQ_ENGINE_CONFIG_SECTION_SECTION_H
#define AQ_ENGINE_CONFIG_SECTION_SECTION_H

#include "engine/config/config_node.h"

#define AQ_CONFIG_SECRET_BYTES_MAX ((size_t)64 << 10)

/** Whether the value of `key` must not be shown. `NAME_file` names a file and may be. */
bool aq_config_is_secret(const char *key);

/* Readers of one value, to a const char * that stays as it is when the text is empty. */
aq_config_read aq_config_read_optional_text; /* "${S3_ENDPOINT:}" */
aq_config_read aq_config_read_file_name;     /* of a file that can be read; located */
aq_config_read aq_config_read_secret_file;   /* what that file holds, less one line end */

/** As aq_config_read_fields; fails too where a secret is given both as NAME and as NAME_file. */
enum aq_status aq_config_read_section(struct aq_config_reader *reader,
                                      const struct aq_config_node *node, const char *what,
                                      const struct aq_config_field *fields, size_t field_count,
                                      void *target) AQ_RESULT;

/** Fail unless `node`, the section `what`, has the key. */
enum aq_status aq_config_require(struct aq_config_reader *reader, const struct aq_config_node *node,
                                 const char *what, const char *key) AQ_RESULT;

#endif
