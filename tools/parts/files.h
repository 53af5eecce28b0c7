/* aqstore-files.so: what reads and decompresses input files. */
#ifndef AQ_TOOLS_PARTS_FILES_H
#define AQ_TOOLS_PARTS_FILES_H

#include "engine/ingest/file/read/page_unpack.h"
#include "engine/ingest/file/read/source_file.h"
#include "tools/parts/part.h"

#define AQ_FILES_FUNCTIONS(FUNCTION)    \
    FUNCTION(aq_source_file_open)       \
    FUNCTION(aq_source_file_close)      \
    FUNCTION(aq_source_file_on_idle)    \
    FUNCTION(aq_source_file_read)       \
    FUNCTION(aq_source_file_rewind)     \
    FUNCTION(aq_source_file_keep)       \
    FUNCTION(aq_source_file_read_at)    \
    FUNCTION(aq_page_unpack)            \
    FUNCTION(aq_source_file_path)       \
    FUNCTION(aq_source_file_bytes_done) \
    FUNCTION(aq_source_file_bytes_total)

struct aq_files {
    struct aq_part_table head;
#define AQ_FILES_MEMBER(name) __typeof__(name) *name;
    AQ_FILES_FUNCTIONS(AQ_FILES_MEMBER)
#undef AQ_FILES_MEMBER
};

#endif
