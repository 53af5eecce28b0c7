/* Any bytes are an answer of a server: pages, errors, texts and heads are read within bounds, and what is
 * taken is what the API may hand on. So are the shared credentials file and the metadata's JSON. */
#include "engine/object/s3/keys/s3_credentials.h"
#include "engine/object/s3/wire/s3_xml.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds)
{
    if (!holds)
        abort();
}

static void read_xml(struct aq_slice body)
{
    struct aq_s3_page page;
    struct aq_s3_error error;
    char text[64];
    enum aq_status status = aq_s3_page_read(body, &page, NULL);
    must(status == AQ_OK || status == AQ_CORRUPT);
    if (status == AQ_OK) {
        must(!page.truncated || page.next != NULL);
        for (size_t i = 0; i < page.entry_count; i++)
            must(strlen(page.entries[i].key) < AQ_S3_TEXT_BYTES_MAX);
        aq_s3_page_deinit(&page);
    }
    aq_s3_error_read(body, &error);
    for (const char *at = error.message; *at != '\0'; at++)
        must(*at >= ' ' && *at <= '~');
    must(strlen(error.code) < sizeof error.code && strlen(error.root) < sizeof error.root);
    status =
        aq_s3_xml_text(body, "InitiateMultipartUploadResult/UploadId", text, sizeof text, NULL);
    must(status == AQ_CORRUPT ||
         (status == AQ_OK && text[0] != '\0' && strlen(text) < sizeof text));
}

static void read_texts(const char *text)
{
    struct aq_s3_content_range range;
    uint64_t number;
    if (aq_s3_content_range_read(text, &range))
        must(range.first > range.last || range.last < range.total);
    if (aq_s3_number_read(text, &number))
        must(number < UINT64_C(1) << 63);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct aq_slice body = aq_slice_make(data, size);
    struct aq_s3_credentials found = {0};
    read_xml(body);
    enum aq_status status = aq_s3_profile_read(body, "default", &found, NULL);
    must(status == AQ_INVALID || status == AQ_NOT_FOUND ||
         (status == AQ_OK && found.access_key[0] != '\0' && found.secret_key[0] != '\0'));
    struct aq_s3_credentials role = {0};
    status = aq_s3_metadata_read(body, &role, NULL);
    must(status == AQ_CORRUPT || (status == AQ_OK && role.secret_key[0] != '\0'));
    char *text = malloc(size + 1);
    must(text != NULL);
    memcpy(text, data, size);
    text[size] = '\0';
    read_texts(text);
    free(text);
    return 0;
}
