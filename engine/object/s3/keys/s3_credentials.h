/* Who asks: keys from the options, the environment, a file or the instance's metadata. */
#ifndef AQ_ENGINE_OBJECT_S3_S3_CREDENTIALS_H
#define AQ_ENGINE_OBJECT_S3_S3_CREDENTIALS_H

#include "engine/object/s3.h"

/** NUL-terminated; never printed. */
struct aq_s3_credentials {
    char access_key[256];
    char secret_key[256];
    char session_token[8192]; /* "": none */
    int64_t expires_us;       /* wall clock; 0: never */
};

struct aq_s3_keyring;

/** Looks into the options, the environment and the shared file; the instance's metadata are asked when
 * keys are first wanted. AQ_INVALID where a source is there and not usable. */
enum aq_status aq_s3_keyring_create(const struct aq_s3_options *options,
                                    struct aq_s3_keyring **keyring, struct aq_error *err) AQ_RESULT;
void aq_s3_keyring_destroy(struct aq_s3_keyring *keyring); /* NULL allowed */
/** The present keys; from metadata anew five minutes before they expire. The caller wipes them.
 * AQ_IO where there are none. @thread Any. */
enum aq_status aq_s3_keyring_get(struct aq_s3_keyring *keyring,
                                 struct aq_s3_credentials *credentials,
                                 struct aq_error *err) AQ_RESULT;
/** A server says that these keys have expired: the next get reads file or metadata again. */
void aq_s3_keyring_renew(struct aq_s3_keyring *keyring);

/** The profile's keys of a shared credentials file's text. AQ_NOT_FOUND without the profile or its keys;
 * AQ_INVALID for keys that are too long. */
enum aq_status aq_s3_profile_read(struct aq_slice text, const char *profile,
                                  struct aq_s3_credentials *credentials,
                                  struct aq_error *err) AQ_RESULT;
/** The instance's keys by IMDSv2; `endpoint` http://HOST[:PORT]. AQ_IO when there are none. */
enum aq_status aq_s3_metadata_fetch(const char *endpoint, struct aq_s3_credentials *credentials,
                                    struct aq_error *err) AQ_RESULT;
/** Metadata's JSON document. AQ_CORRUPT when it is none or lacks a field. */
enum aq_status aq_s3_metadata_read(struct aq_slice text, struct aq_s3_credentials *credentials,
                                   struct aq_error *err) AQ_RESULT;

#endif
