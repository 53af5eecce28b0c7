/* A Parquet file's part of an import. */
#ifndef AQ_ENGINE_INGEST_IMPORT_PARQUET_H
#define AQ_ENGINE_INGEST_IMPORT_PARQUET_H

#include "engine/ingest/file/importer.h"

struct aq_parquet_import;

/** Hash the file to its end and read its footer; the stream of `import` stands at its first byte. `*opened` is to be
 * closed, also after a failure. */
enum aq_status aq_parquet_import_open(struct aq_import *import, struct aq_parquet_import **opened,
                                      struct aq_error *err) AQ_RESULT;
void aq_parquet_import_close(struct aq_parquet_import *parquet);
/** Take its rows from import->ordinal on. AQ_END when all are taken, or a failure. */
enum aq_status aq_parquet_import_run(struct aq_parquet_import *parquet,
                                     struct aq_error *err) AQ_RESULT;

#endif
