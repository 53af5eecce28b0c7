/* The shared credentials file: [PROFILE] headings, `name = value` lines, # and ; comments.
 *
 * Of a profile that occurs twice the last values count. A profile that is there without keys (role_arn,
 * sso_..., credential_process) is AQ_INVALID: those ways are not taken here. */
#include "engine/object/s3/keys/s3_credentials.h"

#include <ctype.h>
#include <string.h>

static struct aq_slice trim(struct aq_slice text)
{
    while (text.size > 0 && isspace(text.data[0]))
        text = aq_slice_make(text.data + 1, text.size - 1);
    while (text.size > 0 && isspace(text.data[text.size - 1]))
        text.size--;
    return text;
}

static struct aq_slice next_line(struct aq_slice *text)
{
    const uint8_t *end = text->size == 0 ? NULL : memchr(text->data, '\n', text->size);
    size_t size = end == NULL ? text->size : (size_t)(end - text->data);
    struct aq_slice line = {text->data, size};
    size_t used = end == NULL ? size : size + 1;
    *text = aq_slice_make(text->data + used, text->size - used);
    return line;
}

/* "[default]" and, as in ~/.aws/config, "[profile NAME]". */
static bool heading_is(struct aq_slice line, const char *profile)
{
    static const char word[] = "profile ";
    struct aq_slice name = trim(aq_slice_make(line.data + 1, line.size - 2));
    if (name.size > strlen(word) && memcmp(name.data, word, strlen(word)) == 0)
        name = trim(aq_slice_make(name.data + strlen(word), name.size - strlen(word)));
    return aq_slice_equal(name, aq_slice_of(profile));
}

static bool set(char *out, size_t out_size, struct aq_slice value)
{
    if (value.size >= out_size)
        return false;
    memcpy(out, value.data, value.size);
    out[value.size] = '\0';
    return true;
}

static bool read_field(struct aq_slice line, struct aq_s3_credentials *credentials)
{
    const uint8_t *equals = memchr(line.data, '=', line.size);
    if (equals == NULL)
        return true;
    size_t name_size = (size_t)(equals - line.data);
    struct aq_slice name = trim(aq_slice_make(line.data, name_size));
    struct aq_slice value = trim(aq_slice_make(equals + 1, line.size - name_size - 1));
    if (aq_slice_equal(name, aq_slice_of("aws_access_key_id")))
        return set(credentials->access_key, sizeof credentials->access_key, value);
    if (aq_slice_equal(name, aq_slice_of("aws_secret_access_key")))
        return set(credentials->secret_key, sizeof credentials->secret_key, value);
    if (aq_slice_equal(name, aq_slice_of("aws_session_token")))
        return set(credentials->session_token, sizeof credentials->session_token, value);
    return true;
}

enum aq_status aq_s3_profile_read(struct aq_slice text, const char *profile,
                                  struct aq_s3_credentials *credentials, struct aq_error *err)
{
    bool inside = false;
    bool found = false;
    bool fits = true;
    while (text.size > 0) {
        struct aq_slice line = trim(next_line(&text));
        if (line.size == 0 || line.data[0] == '#' || line.data[0] == ';')
            continue;
        if (line.data[0] == '[' && line.data[line.size - 1] == ']' && line.size > 1)
            inside = heading_is(line, profile);
        else if (inside)
            fits = read_field(line, credentials) && fits;
        found = found || inside;
    }
    if (!found)
        return aq_error_set(err, AQ_NOT_FOUND, "has no profile [%.80s]", profile);
    if (!fits || credentials->access_key[0] == '\0' || credentials->secret_key[0] == '\0')
        return aq_error_set(
            err, AQ_INVALID,
            "profile [%.80s] lacks aws_access_key_id or aws_secret_access_key (roles, "
            "SSO and credential processes are not known here)",
            profile);
    return AQ_OK;
}
