/* Whether a file, or its beginning, is in the store already (docs/import.md, "When is a file known"). */
#ifndef AQ_ENGINE_INGEST_FILE_IDENTITY_H
#define AQ_ENGINE_INGEST_FILE_IDENTITY_H

#include "engine/ingest/file/read/stream.h"
#include "engine/store/catalog/catalog.h"

enum aq_file_standing {
    AQ_FILE_NEW,
    AQ_FILE_KNOWN,    /* its whole content is in the store */
    AQ_FILE_CONTINUES /* its beginning is; go on behind it */
};

struct aq_file_identity {
    enum aq_file_standing standing;
    bool grew;                   /* CONTINUES a feed that was finished: the file has more now */
    bool name_known;             /* NEW, and a feed of that name has other content */
    struct aq_catalog_feed feed; /* KNOWN, CONTINUES: borrowed from the candidates */
};

/** Base name less a compression suffix: "a/b.csv.gz" is "b.csv"; standard input is "-". Points into
 * `path`. @thread Any. */
struct aq_slice aq_file_name_of(const char *path);

/**
 * Compare the stream's content with the feeds, at each of their positions. Reads as far as the farthest of
 * them; the caller rewinds the stream.
 * @param feeds  The dataset's file feeds.
 * @param name   As aq_file_name_of says.
 */
enum aq_status aq_file_identify(const struct aq_catalog_feed *feeds, size_t feed_count,
                                struct aq_slice name, struct aq_stream *stream,
                                struct aq_file_identity *identity, struct aq_error *err) AQ_RESULT;

#endif
