/*
 * Makes one call on the files of a site directory go wrong, and keeps a journal of all of them.
 *
 * Preloaded into a process, which is told by its environment, read when the library is loaded and
 * again at each call of faults_arm():
 *
 *   FAULT_SITE     the directory that is meant; calls on anything outside of it go on untouched
 *   FAULT_CALLS    which calls are counted: write sync rename mkdir truncate open unlink
 *   FAULT_NAME     count only paths that end like this
 *   FAULT_AT       the number of the counted call that goes wrong, from 0; without it none does
 *   FAULT_MODE     EIO ENOSPC EDQUOT EINTR   it fails so, and has done nothing
 *                  dies                      it fails with EIO, and so does every call after it
 *                  short                     half is written, and the call says so
 *                  torn                      half is written, and the next counted call has no room
 *                  torn_kill                 half is written, then the process is killed
 *                  kill_before, kill_after   the process is killed beside the call
 *   FAULT_JOURNAL  the file that a line of JSON is appended to for every call
 *
 * "open" counts calls that may create a file. A call that has no half is left whole by the modes
 * that halve. Not seen: stdio, mmap, fallocate and whatever does not pass through the C library.
 */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define EXPORTED __attribute__((visibility("default")))
#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

static struct {
    char site[PATH_MAX];
    char calls[128];
    char name[128];
    char mode[32];
    long at; /* -1: nothing goes wrong */
    int journal;
    long counted;
} plan = {.at = -1, .journal = -1};

/* What is to become of one call. */
struct verdict {
    bool is_hit;
    int error; /* fail so, without doing it; 0: do it */
    bool is_halved;
    bool is_killed;
};

static void copy_variable(char *into, size_t size, const char *name) {
    const char *value = getenv(name);
    snprintf(into, size, "%s", value ? value : "");
}

EXPORTED void faults_arm(void) {
    char path[PATH_MAX], at[32];
    copy_variable(plan.site, sizeof plan.site, "FAULT_SITE");
    copy_variable(plan.calls, sizeof plan.calls, "FAULT_CALLS");
    copy_variable(plan.name, sizeof plan.name, "FAULT_NAME");
    copy_variable(plan.mode, sizeof plan.mode, "FAULT_MODE");
    copy_variable(at, sizeof at, "FAULT_AT");
    copy_variable(path, sizeof path, "FAULT_JOURNAL");
    plan.at = *at ? atol(at) : -1;
    plan.counted = 0;
    if (plan.journal >= 0)
        close(plan.journal);
    plan.journal = *path ? REAL(open)(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600) : -1;
}

__attribute__((constructor)) static void loaded(void) { faults_arm(); }

static bool is_in_site(const char *path) {
    size_t length = strlen(plan.site);
    return length && !strncmp(path, plan.site, length) &&
           (path[length] == '/' || path[length] == '\0');
}

static bool ends_like(const char *path, const char *end) {
    size_t length = strlen(path), wanted = strlen(end);
    return length >= wanted && !strcmp(path + length - wanted, end);
}

static void path_of_fd(int fd, char *path) {
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, PATH_MAX - 1);
    path[length > 0 ? length : 0] = '\0';
}

static void path_at(int directory, const char *name, char *path) {
    char above[PATH_MAX] = "";
    if (*name == '/') {
        snprintf(path, PATH_MAX, "%s", name);
        return;
    }
    if (directory != AT_FDCWD)
        path_of_fd(directory, above);
    else if (!getcwd(above, sizeof above))
        *above = '\0';
    if (snprintf(path, PATH_MAX, "%s/%s", above, name) >= PATH_MAX)
        *path = '\0';
}

static int error_of_mode(void) {
    static const struct {
        const char *mode;
        int error;
    } errors[] = {{"EIO", EIO}, {"ENOSPC", ENOSPC}, {"EDQUOT", EDQUOT}, {"EINTR", EINTR},
                  {"dies", EIO}};
    for (size_t i = 0; i < sizeof errors / sizeof *errors; i++)
        if (!strcmp(plan.mode, errors[i].mode))
            return errors[i].error;
    return 0;
}

static struct verdict judge(const char *kind, const char *path) {
    struct verdict verdict = {0};
    if (plan.at < 0 || !strstr(plan.calls, kind) || !ends_like(path, plan.name))
        return verdict;
    long number = __atomic_fetch_add(&plan.counted, 1, __ATOMIC_SEQ_CST);
    bool is_after = number > plan.at && !strcmp(plan.mode, "dies");
    bool is_rest = number == plan.at + 1 && !strcmp(plan.mode, "torn");
    verdict.is_hit = number == plan.at || is_after || is_rest;
    if (!verdict.is_hit)
        return verdict;
    verdict.error = is_rest ? ENOSPC : error_of_mode();
    bool is_torn = !strcmp(plan.mode, "torn") || !strcmp(plan.mode, "torn_kill");
    verdict.is_halved = !verdict.error && (is_torn || !strcmp(plan.mode, "short"));
    verdict.is_killed = !strcmp(plan.mode, "torn_kill") || !strcmp(plan.mode, "kill_after");
    return verdict;
}

/* `done` is what the call returned; a negative one stands for errno. */
static void note(const char *call, const char *path, long long size, long done, bool is_hit) {
    int error = errno;
    char line[PATH_MAX + 256];
    struct timespec now;
    if (plan.journal < 0)
        return;
    clock_gettime(CLOCK_MONOTONIC, &now);
    int length = snprintf(line, sizeof line,
                          "{\"call\":\"%s\",\"path\":\"%s\",\"size\":%lld,\"done\":%ld,"
                          "\"is_hit\":%s,\"ns\":%lld}\n",
                          call, path, size, done < 0 ? -(long)error : done,
                          is_hit ? "true" : "false",
                          now.tv_sec * 1000000000LL + now.tv_nsec);
    if (REAL(write)(plan.journal, line, length) != length)
        abort();
    errno = error;
}

static void die(void) {
    kill(getpid(), SIGKILL);
    for (;;)
        pause();
}

/* Do `really` as it was judged, and write down how it went. */
#define CARRY_OUT(verdict, call, path, size, really)                                               \
    ({                                                                                             \
        if (verdict.is_hit && !strcmp(plan.mode, "kill_before")) {                                 \
            note(call, path, size, 0, true);                                                       \
            die();                                                                                 \
        }                                                                                          \
        long done = verdict.error ? (errno = verdict.error, -1L) : (long)(really);                 \
        note(call, path, size, done, verdict.is_hit);                                              \
        if (verdict.is_killed)                                                                     \
            die();                                                                                 \
        done;                                                                                      \
    })

static size_t half_of(struct verdict verdict, size_t size) {
    return verdict.is_halved ? (size + 1) / 2 : size;
}

#define WRITING(fd, size, really)                                                                  \
    char path[PATH_MAX];                                                                           \
    path_of_fd(fd, path);                                                                          \
    if (!is_in_site(path))                                                                         \
        return really;                                                                             \
    struct verdict verdict = judge("write", path);                                                 \
    size = half_of(verdict, size);                                                                 \
    return CARRY_OUT(verdict, "write", path, (long long)size, really)

EXPORTED ssize_t write(int fd, const void *bytes, size_t size) {
    WRITING(fd, size, REAL(write)(fd, bytes, size));
}

EXPORTED ssize_t pwrite(int fd, const void *bytes, size_t size, off_t offset) {
    WRITING(fd, size, REAL(pwrite)(fd, bytes, size, offset));
}

EXPORTED ssize_t pwrite64(int fd, const void *bytes, size_t size, off64_t offset) {
    WRITING(fd, size, REAL(pwrite64)(fd, bytes, size, offset));
}

EXPORTED ssize_t writev(int fd, const struct iovec *parts, int count) {
    char path[PATH_MAX];
    path_of_fd(fd, path);
    if (!is_in_site(path))
        return REAL(writev)(fd, parts, count);
    struct verdict verdict = judge("write", path);
    size_t size = 0;
    for (int i = 0; i < count; i++)
        size += parts[i].iov_len;
    if (!verdict.is_halved)
        return CARRY_OUT(verdict, "write", path, (long long)size, REAL(writev)(fd, parts, count));
    size = half_of(verdict, parts[0].iov_len);
    return CARRY_OUT(verdict, "write", path, (long long)size,
                     REAL(write)(fd, parts[0].iov_base, size));
}

/* The begin of a sync is written down too: only what was written before it is made safe. */
#define SYNCING(fd, really)                                                                        \
    char path[PATH_MAX];                                                                           \
    path_of_fd(fd, path);                                                                          \
    if (!is_in_site(path))                                                                         \
        return really;                                                                             \
    note("sync_begun", path, 0, 0, false);                                                         \
    struct verdict verdict = judge("sync", path);                                                  \
    return CARRY_OUT(verdict, "sync", path, 0LL, really)

EXPORTED int fsync(int fd) { SYNCING(fd, REAL(fsync)(fd)); }
EXPORTED int fdatasync(int fd) { SYNCING(fd, REAL(fdatasync)(fd)); }

#define CUTTING(size, really)                                                                      \
    if (!is_in_site(path))                                                                         \
        return really;                                                                             \
    struct verdict verdict = judge("truncate", path);                                              \
    return CARRY_OUT(verdict, "truncate", path, (long long)(size), really)

EXPORTED int ftruncate(int fd, off_t size) {
    char path[PATH_MAX];
    path_of_fd(fd, path);
    CUTTING(size, REAL(ftruncate)(fd, size));
}

EXPORTED int ftruncate64(int fd, off64_t size) {
    char path[PATH_MAX];
    path_of_fd(fd, path);
    CUTTING(size, REAL(ftruncate64)(fd, size));
}

EXPORTED int truncate(const char *name, off_t size) {
    char path[PATH_MAX];
    path_at(AT_FDCWD, name, path);
    CUTTING(size, REAL(truncate)(name, size));
}

EXPORTED int truncate64(const char *name, off64_t size) {
    char path[PATH_MAX];
    path_at(AT_FDCWD, name, path);
    CUTTING(size, REAL(truncate64)(name, size));
}

/* The rest names a path. `kind` is what FAULT_CALLS says, `call` what the journal says. */
#define NAMING(directory, name, kind, call, really)                                                \
    char path[PATH_MAX];                                                                           \
    path_at(directory, name, path);                                                                \
    if (!is_in_site(path))                                                                         \
        return really;                                                                             \
    struct verdict verdict = judge(kind, path);                                                    \
    return CARRY_OUT(verdict, call, path, 0LL, really)

EXPORTED int rename(const char *old, const char *new) {
    NAMING(AT_FDCWD, new, "rename", "rename", REAL(rename)(old, new));
}

EXPORTED int renameat(int from, const char *old, int to, const char *new) {
    NAMING(to, new, "rename", "rename", REAL(renameat)(from, old, to, new));
}

EXPORTED int renameat2(int from, const char *old, int to, const char *new, unsigned int flags) {
    NAMING(to, new, "rename", "rename", REAL(renameat2)(from, old, to, new, flags));
}

EXPORTED int mkdir(const char *name, mode_t mode) {
    NAMING(AT_FDCWD, name, "mkdir", "mkdir", REAL(mkdir)(name, mode));
}

EXPORTED int mkdirat(int directory, const char *name, mode_t mode) {
    NAMING(directory, name, "mkdir", "mkdir", REAL(mkdirat)(directory, name, mode));
}

EXPORTED int unlink(const char *name) {
    NAMING(AT_FDCWD, name, "unlink", "unlink", REAL(unlink)(name));
}

EXPORTED int unlinkat(int directory, const char *name, int flags) {
    NAMING(directory, name, "unlink", "unlink", REAL(unlinkat)(directory, name, flags));
}

#define OPENING(directory, name, flags, mode, really)                                              \
    mode_t mode = 0;                                                                               \
    if (!((flags) & O_CREAT))                                                                      \
        return really;                                                                             \
    va_list rest;                                                                                  \
    va_start(rest, flags);                                                                         \
    mode = va_arg(rest, mode_t);                                                                   \
    va_end(rest);                                                                                  \
    bool is_new = faccessat(directory, name, F_OK, 0) != 0;                                        \
    NAMING(directory, name, "open", is_new ? "create" : "open", really)

EXPORTED int open(const char *name, int flags, ...) {
    OPENING(AT_FDCWD, name, flags, mode, REAL(open)(name, flags, mode));
}

EXPORTED int open64(const char *name, int flags, ...) {
    OPENING(AT_FDCWD, name, flags, mode, REAL(open64)(name, flags, mode));
}

EXPORTED int openat(int directory, const char *name, int flags, ...) {
    OPENING(directory, name, flags, mode, REAL(openat)(directory, name, flags, mode));
}

EXPORTED int openat64(int directory, const char *name, int flags, ...) {
    OPENING(directory, name, flags, mode, REAL(openat64)(directory, name, flags, mode));
}
