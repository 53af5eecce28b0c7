/* One page of a listing, and the numbers of an answer's head.
 *
 * Keys are asked for with encoding-type=url, for XML has no way to write every byte that a key may have;
 * a server that does not know it says so by leaving <EncodingType> out. A page with a key that is too
 * long, a size that is no number or too many entries is AQ_CORRUPT. */
#include "engine/object/s3/wire/s3_xml.h"

#include "engine/base/civil/civil_time.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#define ENTRIES_MAX 10000 /* S3 sends 1,000 a page */

bool aq_s3_number_read(const char *text, uint64_t *number)
{
    uint64_t value = 0;
    size_t size = strlen(text);
    if (size == 0 || size > 18 || strspn(text, "0123456789") != size)
        return false;
    for (; *text != '\0'; text++)
        value = value * 10 + (uint64_t)(*text - '0');
    *number = value;
    return true;
}

/* Digits up to `end`, which is passed over; NULL when there is no such thing. */
static const char *number_until(const char *text, char end, uint64_t *number)
{
    char digits[20];
    const char *stop = strchr(text, end);
    size_t size = stop == NULL ? 0 : (size_t)(stop - text);
    if (stop == NULL || size >= sizeof digits)
        return NULL;
    memcpy(digits, text, size);
    digits[size] = '\0';
    return aq_s3_number_read(digits, number) ? stop + 1 : NULL;
}

bool aq_s3_content_range_read(const char *text, struct aq_s3_content_range *range)
{
    *range = (struct aq_s3_content_range){.first = 1};
    if (strncmp(text, "bytes ", 6) != 0)
        return false;
    text += 6;
    if (strncmp(text, "*/", 2) == 0)
        return aq_s3_number_read(text + 2, &range->total);
    text = number_until(text, '-', &range->first);
    if (text != NULL)
        text = number_until(text, '/', &range->last);
    return text != NULL && aq_s3_number_read(text, &range->total) && range->first <= range->last &&
           range->last < range->total;
}

struct page_reading {
    struct aq_s3_page *page;
    struct aq_s3_entry entry; /* the one that is being read; its texts are owned */
    bool encoded;
};

static bool copy(const char *text, char **out)
{
    free(*out);
    *out = strdup(text);
    return *out != NULL;
}

static enum aq_status add_entry(struct page_reading *reading)
{
    struct aq_s3_page *page = reading->page;
    size_t count = page->entry_count;
    if (reading->entry.key == NULL || count == ENTRIES_MAX)
        return AQ_CORRUPT;
    if ((count & (count - 1)) == 0) { /* full: 0, 1, 2, 4 ... */
        size_t capacity = count == 0 ? 1 : 2 * count;
        struct aq_s3_entry *entries = realloc(page->entries, capacity * sizeof *entries);
        if (entries == NULL)
            return AQ_NO_MEMORY;
        page->entries = entries;
    }
    page->entries[page->entry_count++] = reading->entry;
    reading->entry = (struct aq_s3_entry){0};
    return AQ_OK;
}

static enum aq_status read_entry(struct page_reading *reading, const char *field, const char *text)
{
    struct aq_s3_entry *entry = &reading->entry;
    if (strcmp(field, "Key") == 0)
        return copy(text, (char **)&entry->key) ? AQ_OK : AQ_NO_MEMORY;
    if (strcmp(field, "UploadId") == 0)
        return copy(text, (char **)&entry->upload_id) ? AQ_OK : AQ_NO_MEMORY;
    if (strcmp(field, "Size") == 0)
        return aq_s3_number_read(text, &entry->size_bytes) ? AQ_OK : AQ_CORRUPT;
    if (strcmp(field, "Initiated") == 0 &&
        aq_time_parse(aq_slice_of(text), aq_zone_utc(), &entry->initiated_us) != AQ_OK)
        return AQ_CORRUPT;
    return AQ_OK;
}

static enum aq_status visit_page(void *context, const char *path, const char *text)
{
    struct page_reading *reading = context;
    struct aq_s3_page *page = reading->page;
    const char *field = strchr(path, '/');
    if (field == NULL)
        return AQ_OK;
    field++;
    if (strcmp(field, "Contents") == 0 || strcmp(field, "Upload") == 0)
        return add_entry(reading);
    if (strncmp(field, "Contents/", 9) == 0 || strncmp(field, "Upload/", 7) == 0)
        return read_entry(reading, strchr(field, '/') + 1, text);
    if (strcmp(field, "IsTruncated") == 0)
        page->truncated = strcmp(text, "true") == 0;
    else if (strcmp(field, "EncodingType") == 0)
        reading->encoded = strcmp(text, "url") == 0;
    else if (strcmp(field, "NextContinuationToken") == 0 || strcmp(field, "NextKeyMarker") == 0)
        return copy(text, &page->next) ? AQ_OK : AQ_NO_MEMORY;
    else if (strcmp(field, "NextUploadIdMarker") == 0)
        return copy(text, &page->next_upload) ? AQ_OK : AQ_NO_MEMORY;
    return AQ_OK;
}

static int hex_digit(char c)
{
    if (!isxdigit((unsigned char)c))
        return -1;
    return isdigit((unsigned char)c) ? c - '0' : tolower((unsigned char)c) - 'a' + 10;
}

/* In place. A NUL in a key ends it: such a key is no name, and is passed over by its caller. */
static void decode(char *text)
{
    char *out = text;
    for (char *at = text; *at != '\0'; at++) {
        if (*at == '%' && hex_digit(at[1]) >= 0 && hex_digit(at[2]) >= 0) {
            *out++ = (char)(hex_digit(at[1]) * 16 + hex_digit(at[2]));
            at += 2;
        } else {
            *out++ = *at == '+' ? ' ' : *at;
        }
    }
    *out = '\0';
}

enum aq_status aq_s3_page_read(struct aq_slice body, struct aq_s3_page *page, struct aq_error *err)
{
    *page = (struct aq_s3_page){0};
    struct page_reading reading = {.page = page};
    enum aq_status status = aq_s3_xml_read(body, visit_page, &reading, err);
    free((char *)reading.entry.key);
    free((char *)reading.entry.upload_id);
    for (size_t i = 0; reading.encoded && i < page->entry_count; i++)
        decode((char *)page->entries[i].key);
    /* A continuation token is opaque; a key marker is a key. */
    if (reading.encoded && page->next != NULL && page->next_upload != NULL)
        decode(page->next);
    if (status == AQ_OK && page->truncated && page->next == NULL)
        status = aq_error_set(err, AQ_CORRUPT,
                              "the server cuts a listing without saying where it goes on");
    if (status != AQ_OK)
        aq_s3_page_deinit(page);
    return status;
}

void aq_s3_page_deinit(struct aq_s3_page *page)
{
    for (size_t i = 0; i < page->entry_count; i++) {
        free((char *)page->entries[i].key);
        free((char *)page->entries[i].upload_id);
    }
    free(page->entries);
    free(page->next);
    free(page->next_upload);
    *page = (struct aq_s3_page){0};
}
