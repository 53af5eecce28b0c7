/* Files to messages: compression, lines, CSV records, JSON elements, and positions in all of them. */
#include <signal.h>
#include <stdatomic.h>
#include <sys/stat.h>
#include <sys/time.h>

#include "engine/ingest/decode/decode.h"
#include "engine/ingest/file/file_identity.h"
#include "engine/ingest/file/read/split.h"

#include "tests/unit/scratch.h"

static struct aq_source_file *file;
static struct aq_stream stream;
static struct aq_splitter splitter;
static struct aq_error err;
static struct aq_message message;

static void open_path(const char *path)
{
    cr_assert_eq(aq_source_file_open(path, AT_FDCWD, NULL, &file, &err), AQ_OK, "%s: %s", err.path,
                 err.message);
    cr_assert_eq(aq_stream_init(&stream, file, &err), AQ_OK);
}

static void open_bytes(const char *name, const void *data, size_t size,
                       enum aq_source_format format)
{
    scratch_write(scratch_file(name), data, size);
    open_path(scratch_file(name));
    aq_splitter_init(&splitter, &stream, format);
}

static void open_text(const char *text, enum aq_source_format format)
{
    open_bytes("a", text, strlen(text), format);
}

static void close_all(void)
{
    aq_splitter_deinit(&splitter);
    aq_stream_deinit(&stream);
    aq_source_file_close(file);
}

/* The next message that is one. @return false at the end. */
static bool next(void)
{
    enum aq_status status;
    do {
        status = aq_splitter_next(&splitter, &message, &err);
        cr_assert(status == AQ_OK || status == AQ_END, "%s", err.message);
    } while (status == AQ_OK && message.kind == AQ_MESSAGE_NONE);
    return status == AQ_OK;
}

static void expect(enum aq_message_kind kind, const char *text)
{
    cr_assert(next(), "no more messages, expected '%s'", text);
    cr_assert_eq(message.kind, kind);
    cr_assert(aq_slice_equal(message.bytes, aq_slice_of(text)), "'%.*s' for '%s'",
              (int)message.bytes.size, (const char *)message.bytes.data, text);
}

TestSuite(split, .init = (void (*)(void))scratch_make);

Test(split, lines)
{
    open_text("\xef\xbb\xbf{\"a\":1}\r\n\n  \t\n[2]\nlast", AQ_FORMAT_NDJSON);
    expect(AQ_MESSAGE_WHOLE, "{\"a\":1}");
    cr_assert_eq(stream.offset, 12u);
    expect(AQ_MESSAGE_WHOLE, "[2]");
    expect(AQ_MESSAGE_WHOLE, "last");
    cr_assert_not(next());
    cr_assert_eq(stream.offset, 25u);
    close_all();
}

Test(split, records)
{
    open_text("a,b\r\n\n1,\"x\ny\"\r\n\"\"\"\",2\n3,4\"5\n\"p\"q,\"r\n\"\n,\n", AQ_FORMAT_CSV);
    expect(AQ_MESSAGE_HEADER, "a,b");
    expect(AQ_MESSAGE_WHOLE, "1,\"x\ny\"");
    expect(AQ_MESSAGE_WHOLE, "\"\"\"\",2");
    expect(AQ_MESSAGE_WHOLE, "3,4\"5");
    expect(AQ_MESSAGE_WHOLE, "\"p\"q,\"r\n\"");
    expect(AQ_MESSAGE_WHOLE, ",");
    cr_assert_not(next());
    close_all();
}

Test(split, an_empty_line_of_one_column_is_a_record)
{
    open_text("\na\n\nx\n\n", AQ_FORMAT_CSV);
    expect(AQ_MESSAGE_HEADER, "a");
    expect(AQ_MESSAGE_WHOLE, "");
    expect(AQ_MESSAGE_WHOLE, "x");
    expect(AQ_MESSAGE_WHOLE, "");
    cr_assert_not(next());
    close_all();
}

Test(split, a_stray_quote_costs_one_line)
{
    open_text("a,b\n1,\"2\n3,4\n5,6\n", AQ_FORMAT_CSV);
    expect(AQ_MESSAGE_HEADER, "a,b");
    expect(AQ_MESSAGE_WHOLE, "1,\"2");
    expect(AQ_MESSAGE_WHOLE, "3,4");
    expect(AQ_MESSAGE_WHOLE, "5,6");
    cr_assert_not(next());
    close_all();
}

Test(split, elements)
{
    open_text(" [ {\"a\":[1,{}]} , \"],[\\\"\" ,[[]],\n3 ] \n", AQ_FORMAT_JSON);
    expect(AQ_MESSAGE_WHOLE, "{\"a\":[1,{}]}");
    expect(AQ_MESSAGE_WHOLE, "\"],[\\\"\"");
    expect(AQ_MESSAGE_WHOLE, "[[]]");
    expect(AQ_MESSAGE_WHOLE, "3");
    cr_assert_not(next());
    cr_assert(stream.ended && stream.begin == stream.end);
    close_all();
    open_text("[ \n]", AQ_FORMAT_JSON);
    cr_assert_not(next());
    close_all();
    open_text(" 5 ", AQ_FORMAT_JSON);
    expect(AQ_MESSAGE_WHOLE, "5 ");
    close_all();
    open_text("[1,]", AQ_FORMAT_JSON);
    expect(AQ_MESSAGE_WHOLE, "1");
    expect(AQ_MESSAGE_WHOLE, "");
    cr_assert_not(next());
    close_all();
    open_text("[1] x", AQ_FORMAT_JSON);
    expect(AQ_MESSAGE_WHOLE, "1");
    expect(AQ_MESSAGE_BROKEN, "x");
    cr_assert_not(next());
    close_all();
}

Test(split, json_is_checked_whole)
{
    static const char *const bad[] = {
        "[1,2", "[1,2]]", "[{\"a\":tru}]", "{\"a\":1}{}",  "",  "[1 2]",
        "[,]",  "\xff",   "[1,2]\n5",      "[\"a\n\", 1]", "]", "{"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        open_text(bad[i], AQ_FORMAT_JSON);
        cr_assert_eq(aq_splitter_check_json(&splitter, &err), AQ_OK);
        cr_assert_eq(aq_stream_rewind(&stream, true, &err), AQ_OK);
        expect(AQ_MESSAGE_BROKEN, bad[i]);
        cr_assert_eq(strncmp(message.reason, "not JSON", 8), 0, "%s", message.reason);
        cr_assert_not(next());
        close_all();
    }
    open_text("[1,{\"a\":2}]", AQ_FORMAT_JSON);
    cr_assert_eq(aq_splitter_check_json(&splitter, &err), AQ_OK);
    cr_assert_eq(aq_stream_rewind(&stream, true, &err), AQ_OK);
    expect(AQ_MESSAGE_WHOLE, "1");
    expect(AQ_MESSAGE_WHOLE, "{\"a\":2}");
    cr_assert_not(next());
    close_all();
}

/* Records of all lengths across the borders of the window; the hash at each end. */
Test(split, windows_and_hashes)
{
    size_t capacity = (size_t)5 << 20;
    char *text = malloc(capacity);
    size_t size = (size_t)snprintf(text, capacity, "a,b\n");
    uint64_t count = 0;
    while (size < capacity - 2000) {
        int quoted = count % 3 == 0;
        size += (size_t)snprintf(text + size, capacity - size, "%06zu,%s%0*d%s\n", (size_t)count,
                                 quoted ? "\"\"\"\n" : "", (int)(count * 37 % 1500) + 1, 7,
                                 quoted ? "\n\"\"\"" : "");
        count++;
    }
    open_bytes("a", text, size, AQ_FORMAT_CSV);
    struct aq_hasher *hasher = aq_hasher_create();
    uint64_t seen = 0;
    uint64_t before = 0;
    while (next()) {
        if (message.kind == AQ_MESSAGE_WHOLE) {
            cr_assert_eq(strtoul((const char *)message.bytes.data, NULL, 10), seen);
            seen++;
        }
        aq_hasher_update(hasher, text + before, stream.offset - before);
        before = stream.offset;
        if (seen % 97 == 0) {
            struct aq_hash128 expected = aq_hasher_digest(hasher);
            struct aq_hash128 hash = aq_stream_hash(&stream);
            cr_assert(aq_hash128_equal(&hash, &expected));
        }
    }
    cr_assert_eq(seen, count);
    cr_assert_eq(stream.offset, size);
    aq_hasher_destroy(hasher);
    close_all();
    free(text);
}

static void check_long(enum aq_source_format format, const char *begin, const char *end)
{
    size_t size = AQ_RECORD_BYTES_MAX + 5000000;
    char *text = malloc(size + 64);
    size_t used = (size_t)snprintf(text, 32, "%s", begin);
    memset(text + used, 'x', size);
    size_t total = used + size + (size_t)snprintf(text + used + size, 32, "%s", end);
    open_bytes("a", text, total, format);
    if (format == AQ_FORMAT_CSV)
        expect(AQ_MESSAGE_HEADER, "a,b");
    cr_assert(next());
    cr_assert_eq(message.kind, AQ_MESSAGE_BROKEN);
    cr_assert_eq(message.bytes.size, 65536u);
    cr_assert_not_null(strstr(message.reason, "longer than 16 MiB"), "%s", message.reason);
    expect(AQ_MESSAGE_WHOLE, "[1]");
    cr_assert_not(next());
    cr_assert_eq(stream.offset, total);
    close_all();
    free(text);
}

Test(split, messages_that_are_too_long)
{
    check_long(AQ_FORMAT_NDJSON, "", "\n[1]\n");
    check_long(AQ_FORMAT_CSV, "a,b\n1,\"", "\n[1]");
    check_long(AQ_FORMAT_JSON, "[\"", "\",[1]]");
}

Test(split, a_long_quoted_field_without_an_end_costs_one_line)
{
    size_t size = AQ_RECORD_BYTES_MAX + 3000000;
    char *text = malloc(size);
    size_t used = (size_t)snprintf(text, size, "a\n\"open\n");
    for (size_t i = used; i < size; i++)
        text[i] = i % 10 == 9 ? '\n' : 'y';
    open_bytes("a", text, size, AQ_FORMAT_CSV);
    expect(AQ_MESSAGE_HEADER, "a");
    expect(AQ_MESSAGE_WHOLE, "\"open");
    size_t count = 0;
    while (next())
        count++;
    cr_assert_geq(count, (size - used) / 10);
    cr_assert_eq(stream.offset, size);
    close_all();
    free(text);
}

static void shell(const char *format)
{
    char command[2048];
    snprintf(command, sizeof command, "cd %s && %s", scratch_path, format);
    cr_assert_eq(system(command), 0, "%s", command);
}

Test(split, compressed_files)
{
    scratch_write(scratch_file("a.csv"), "a\n1\n2\n", 6);
    shell(
        "gzip -k a.csv && xz -k a.csv && bzip2 -k a.csv && zstd -q a.csv && cp a.csv.xz wrong.gz");
    static const char *const names[] = {"a.csv",     "a.csv.gz",  "a.csv.xz",
                                        "a.csv.bz2", "a.csv.zst", "wrong.gz"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        open_path(scratch_file(names[i]));
        aq_splitter_init(&splitter, &stream, AQ_FORMAT_CSV);
        expect(AQ_MESSAGE_HEADER, "a");
        expect(AQ_MESSAGE_WHOLE, "1");
        cr_assert_eq(aq_stream_rewind(&stream, false, &err), AQ_OK);
        aq_splitter_init(&splitter, &stream, AQ_FORMAT_CSV);
        expect(AQ_MESSAGE_HEADER, "a");
        expect(AQ_MESSAGE_WHOLE, "1");
        expect(AQ_MESSAGE_WHOLE, "2");
        cr_assert_not(next());
        cr_assert_gt(aq_source_file_bytes_total(file), 0u);
        cr_assert_eq(aq_source_file_bytes_done(file), aq_source_file_bytes_total(file));
        close_all();
    }
}

/* Log rotation makes such files. */
Test(split, several_compressed_streams_in_a_row)
{
    shell("printf 'a\\n1\\n' | gzip > a.gz && printf '2\\n' | gzip >> a.gz");
    open_path(scratch_file("a.gz"));
    aq_splitter_init(&splitter, &stream, AQ_FORMAT_CSV);
    expect(AQ_MESSAGE_HEADER, "a");
    expect(AQ_MESSAGE_WHOLE, "1");
    expect(AQ_MESSAGE_WHOLE, "2");
    close_all();
}

/* Wherever it is cut off: an error, after bytes that are the file's first. */
static void check_damage(const char *name, const unsigned char *good, size_t good_size)
{
    size_t size;
    unsigned char *packed = scratch_read(scratch_file(name), &size);
    unsigned char *out = malloc(good_size + 1);
    for (size_t cut = 1; cut + 64 < size; cut += 1 + size / 200) {
        scratch_write(scratch_file("cut"), packed, size - cut);
        if (aq_source_file_open(scratch_file("cut"), AT_FDCWD, NULL, &file, &err) < 0)
            continue;
        size_t total = 0;
        size_t got = 1;
        enum aq_status status = AQ_OK;
        while (status == AQ_OK && got > 0 && total <= good_size) {
            status = aq_source_file_read(file, out + total, good_size + 1 - total, &got, &err);
            total += got;
        }
        cr_assert_leq(total, good_size);
        cr_assert_eq(memcmp(out, good, total), 0);
        cr_assert(status == AQ_IO || total == good_size, "%s less %zu: cut off unnoticed", name,
                  cut);
        aq_source_file_close(file);
    }
    free(packed);
    free(out);
}

Test(split, every_cut_of_a_compressed_file_is_noticed)
{
    shell("seq 1 20000 > a && gzip -k a && xz -k a && zstd -q a && bzip2 -k a");
    size_t size;
    unsigned char *good = scratch_read(scratch_file("a"), &size);
    check_damage("a.gz", good, size);
    check_damage("a.xz", good, size);
    check_damage("a.zst", good, size);
    check_damage("a.bz2", good, size);
    free(good);
}

static enum aq_status read_to_end(const char *name)
{
    char out[65536];
    size_t got = 1;
    enum aq_status status = aq_source_file_open(scratch_file(name), AT_FDCWD, NULL, &file, &err);
    if (status < 0)
        return status;
    while (status == AQ_OK && got > 0)
        status = aq_source_file_read(file, out, sizeof out, &got, &err);
    aq_source_file_close(file);
    return status;
}

/* The bytes of a stored block are covered by the checksum at the end and by nothing else. */
Test(split, changed_bytes_of_a_gzip_file_are_noticed)
{
    size_t size;
    shell("seq 1 2000 > a && gzip -k a && cat a.gz a.gz > twice.gz");
    unsigned char *packed = scratch_read(scratch_file("twice.gz"), &size);
    cr_assert_eq(read_to_end("twice.gz"), AQ_OK, "%s", err.message);
    size_t places[] = {size / 2 - 8, size / 2 - 1, size - 8, size - 1};
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        packed[places[i]] ^= 1;
        scratch_write(scratch_file("wrong.gz"), packed, size);
        cr_assert_eq(read_to_end("wrong.gz"), AQ_IO, "byte %zu", places[i]);
        packed[places[i]] ^= 1;
    }
    free(packed);
}

/* Of a second stream whose beginning is damaged not a byte would be read, without a word. */
Test(split, what_follows_a_compressed_stream_is_no_end)
{
    shell("seq 1 2000 > a && gzip -k a && bzip2 -k a && xz -k a && zstd -q a &&"
          "for s in gz bz2 xz zst; do (cat a.$s; printf X; cat a.$s) > more.$s; done &&"
          "for s in gz bz2 xz; do (cat a.$s; head -c 512 /dev/zero) > zeros.$s; done");
    static const char *const more[] = {"more.gz", "more.bz2", "more.xz", "more.zst"};
    static const char *const zeros[] = {"zeros.gz", "zeros.bz2", "zeros.xz"};
    for (size_t i = 0; i < sizeof more / sizeof *more; i++)
        cr_assert_eq(read_to_end(more[i]), AQ_IO, "%s", more[i]);
    for (size_t i = 0; i < sizeof zeros / sizeof *zeros; i++)
        cr_assert_eq(read_to_end(zeros[i]), AQ_OK, "%s: %s", zeros[i], err.message);
}

/* To libarchive they are a tar archive that ends at once. */
Test(split, zeros_at_the_beginning_do_not_hide_what_follows)
{
    shell("(head -c 2048 /dev/zero; seq 1 9) > zeros && : > empty && gzip -k empty");
    cr_assert_eq(read_to_end("zeros"), AQ_UNSUPPORTED);
    cr_assert_eq(read_to_end("empty"), AQ_OK);
    cr_assert_eq(read_to_end("empty.gz"), AQ_OK, "%s", err.message);
    shell("(bzip2 -c empty; printf 'X'; bzip2 -c zeros) > lost.bz2");
    cr_assert_eq(read_to_end("lost.bz2"), AQ_IO);
}

static atomic_bool stopped;

static void stop_now(int signal)
{
    (void)signal;
    stopped = true;
}

Test(split, the_wait_for_a_pipe_ends_with_a_signal, .timeout = 10)
{
    struct sigaction action = {.sa_handler = stop_now};
    struct itimerval often = {.it_interval.tv_usec = 20000, .it_value.tv_usec = 20000};
    cr_assert_eq(mkfifo(scratch_file("pipe"), 0600), 0);
    cr_assert_eq(sigaction(SIGALRM, &action, NULL), 0);
    cr_assert_eq(setitimer(ITIMER_REAL, &often, NULL), 0);
    cr_assert_eq(aq_source_file_open(scratch_file("pipe"), AT_FDCWD, &stopped, &file, &err),
                 AQ_INTERRUPTED, "%s", err.message);
}

Test(split, names)
{
    cr_assert(aq_slice_equal(aq_file_name_of("x/y/a.csv.gz"), aq_slice_of("a.csv")));
    cr_assert(aq_slice_equal(aq_file_name_of("a.csv.XZ"), aq_slice_of("a.csv")));
    cr_assert(aq_slice_equal(aq_file_name_of("a.zst"), aq_slice_of("a")));
    cr_assert(aq_slice_equal(aq_file_name_of(".gz"), aq_slice_of(".gz")));
    cr_assert(aq_slice_equal(aq_file_name_of("-"), aq_slice_of("-")));
}

static enum aq_source_format detected(const char *name, const char *text)
{
    enum aq_source_format format;
    open_text(text, AQ_FORMAT_CSV);
    cr_assert_eq(aq_format_detect(aq_slice_of(name), &stream, &format, &err), AQ_OK);
    close_all();
    return format;
}

Test(split, formats)
{
    cr_assert_eq(detected("a.csv", "{}"), AQ_FORMAT_CSV);
    cr_assert_eq(detected("a.JSONL", "a,b"), AQ_FORMAT_NDJSON);
    cr_assert_eq(detected("a.json", "\xef\xbb\xbf \n[1]"), AQ_FORMAT_JSON);
    cr_assert_eq(detected("a.json", "{\"a\":1}\n{\"a\":2}\n"), AQ_FORMAT_NDJSON);
    cr_assert_eq(detected("a.json", "{\n\"a\":1}\n"), AQ_FORMAT_JSON);
    cr_assert_eq(detected("a.json", ""), AQ_FORMAT_JSON);
    cr_assert_eq(detected("-", "a,b\n"), AQ_FORMAT_CSV);
    cr_assert_eq(detected("-", "{\"a\":1}"), AQ_FORMAT_NDJSON);
}
