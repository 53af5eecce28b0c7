/* What S3 answers in XML, read as hostile bytes. */
#ifndef AQ_ENGINE_OBJECT_S3_S3_XML_H
#define AQ_ENGINE_OBJECT_S3_S3_XML_H

#include "format/base/bytes.h"

#define AQ_S3_TEXT_BYTES_MAX 8192 /* of one element; longer is refused */

/** Called at the end of every element: the names from the root to it, joined by '/', and its text (of a
 * leaf; of others what stood behind their last child). Both are borrowed for the call. A negative
 * status ends the reading. */
typedef enum aq_status (*aq_s3_xml_fn)(void *context, const char *path, const char *text);

/** AQ_CORRUPT for what is no well-formed XML, has a document type, is nested too deep or too long.
 * Leading white space is passed over: S3 sends it while it is busy. */
enum aq_status aq_s3_xml_read(struct aq_slice body, aq_s3_xml_fn visit, void *context,
                              struct aq_error *err) AQ_RESULT;

/** What an answer is, and its <Error> if it has one; everything printable, cut where too long. */
struct aq_s3_error {
    char root[64]; /* name of the outermost element; "": the body is no XML, or not whole */
    char code[64]; /* "" where the body has no <Error> */
    char message[256];
    char region[40];
};
void aq_s3_error_read(struct aq_slice body, struct aq_s3_error *error);

/** The text of the element at `path` into `out`; AQ_CORRUPT when there is none, it is empty or too long. */
enum aq_status aq_s3_xml_text(struct aq_slice body, const char *path, char *out, size_t out_size,
                              struct aq_error *err) AQ_RESULT;

/** One page of a listing: of objects (list-type=2) or of unfinished uploads. */
struct aq_s3_entry {
    const char *key; /* decoded */
    uint64_t size_bytes;
    const char *upload_id; /* of uploads only, as are the next: */
    int64_t initiated_us;
};
struct aq_s3_page {
    struct aq_s3_entry *entries;
    size_t entry_count;
    bool truncated;
    char *next;        /* continuation token, or key marker; NULL: none */
    char *next_upload; /* upload id marker */
};
enum aq_status aq_s3_page_read(struct aq_slice body, struct aq_s3_page *page,
                               struct aq_error *err) AQ_RESULT;
void aq_s3_page_deinit(struct aq_s3_page *page);

/** "bytes 0-99/1000", or "bytes * /1000" without the blank: then first > last. */
struct aq_s3_content_range {
    uint64_t first;
    uint64_t last;
    uint64_t total;
};
bool aq_s3_content_range_read(const char *text, struct aq_s3_content_range *range);
/** Decimal digits alone, below 2^63. */
bool aq_s3_number_read(const char *text, uint64_t *number);

#endif
